"""Estimators and commands share their states, and say the same of a query."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bio_xlstm.errors import ConfigError, ModelError, OutputError, SequenceError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.directory import load_in_context
from bio_xlstm.tasks.estimators import InContextClassifier, InContextRegressor
from bio_xlstm.tasks.finetune.columns import number
from bio_xlstm.tasks.in_context import learners
from bio_xlstm.tasks.in_context.job import predict_in_context
from bio_xlstm.tasks.in_context.request import InContextRequest
from bio_xlstm.tasks.in_context.states import AssayStateRequest, build_assay_state

ENDS = ("O", "N", "F", "S", "Br")
SMILES = [f"{'C' * (1 + place // 5)}{ENDS[place % 5]}" for place in range(24)]
NUMBERS = [place % 4 + 0.5 for place in range(24)]
CLASSES = [place % 2 for place in range(24)]
LIBRARY = ["CCO", "CCCCCN", "CCc1ccccc1", "OCC(N)C"]


def table(path: Path, columns: dict[str, list[str] | list[float] | list[int]]) -> str:
    """Write a table."""
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


def command(tmp_path: Path, learner: str, labels: list[float] | list[int]) -> Path:
    """Let `bioxlstm state build --support` make a state."""
    support = table(tmp_path / "labelled.csv", {"smiles": SMILES, "label": labels})
    build_assay_state(
        AssayStateRequest(support=support, output=str(tmp_path / "command.state"), model=learner)
    )
    return tmp_path / "command.state"


def written(tmp_path: Path, learner: str, state: Path) -> list[dict[str, str]]:
    """Let `bioxlstm predict --state` predict for the library."""
    library = table(tmp_path / "library.csv", {"smiles": LIBRARY})
    output = tmp_path / "out.csv"
    request = InContextRequest(
        input=library, output=str(output), state=str(state), model=learner, quiet=True, overwrite=True
    )
    predict_in_context(request, lambda line: None)
    with output.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_state_comes_back_to_the_last_bit(tiny_learner: str, tmp_path: Path) -> None:
    path = tmp_path / "python.state"
    regressor = InContextRegressor(tiny_learner).fit(SMILES, NUMBERS)
    regressor.save_state(path)
    again = InContextRegressor.from_state(path, tiny_learner, batch_tokens=4096)
    assert again.n_examples_ == 24 and again.batch_tokens == 4096
    np.testing.assert_array_equal(again.predict(LIBRARY), regressor.predict(LIBRARY))
    points = regressor.points(LIBRARY)
    np.testing.assert_array_equal(again.predict_points(points), regressor.predict_points(points))
    np.testing.assert_array_equal(again.predict_interval(LIBRARY), regressor.predict_interval(LIBRARY))
    for labels in (CLASSES, np.array(CLASSES) == 1, [("no", "yes")[one] for one in CLASSES], np.array(CLASSES) / 2,
                   [("0", "1")[one] for one in CLASSES]):  # fmt: skip
        classifier = InContextClassifier(tiny_learner).fit(SMILES, labels)
        classifier.save_state(path)
        other = InContextClassifier.from_state(path, load_in_context(tiny_learner))
        assert other.classes_.tolist() == classifier.classes_.tolist()
        assert other.classes_.dtype == classifier.classes_.dtype
        np.testing.assert_array_equal(other.predict_proba(LIBRARY), classifier.predict_proba(LIBRARY))
        np.testing.assert_array_equal(other.predict(LIBRARY), classifier.predict(LIBRARY))


@pytest.mark.parametrize("labels", [NUMBERS, CLASSES])
def test_commands_and_estimators_make_one_state(
    tiny_learner: str, tmp_path: Path, labels: list[float] | list[int]
) -> None:
    """The same support leaves the same state; what a command writes from it is what `details` returns."""
    kind = InContextRegressor if labels is NUMBERS else InContextClassifier
    estimator, path = kind(tiny_learner).fit(SMILES, labels), tmp_path / "python.state"
    estimator.save_state(path)
    made = command(tmp_path, tiny_learner, labels)
    one, other = (AssayState.load(file)._tensors() for file in (path, made))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        # residuals of classes are NaN
        np.testing.assert_array_equal(tensor.numpy(), other[name].numpy(), err_msg=name)
    loaded = kind.from_state(made, tiny_learner)
    for model in (estimator, loaded):
        found = model.details(LIBRARY)
        for state in (path, made):
            for row, cells in enumerate(written(tmp_path, tiny_learner, state)):
                for name, column in found.items():
                    value = column[row]
                    is_number = isinstance(value, float | np.floating)
                    text = {True: "yes", False: "no"}[bool(value)] if name == "in_domain" else str(value)
                    assert cells[name] == (number(value) if is_number else text), name
    if kind is InContextClassifier:
        assert (
            loaded.classes_.tolist() == [0, 1]
            and loaded.predict(LIBRARY).dtype == estimator.predict(LIBRARY).dtype
        )


def test_details(tiny_learner: str) -> None:
    classifier = InContextClassifier(tiny_learner, invalid="nan").fit(SMILES, CLASSES)
    queries = [*LIBRARY[:2], "C1CC", *LIBRARY[2:]]
    found = classifier.details(queries)
    assert list(found) == [
        "predicted",
        "probability",
        "prior",
        "spread",
        "nearest",
        "similarity",
        "in_domain",
    ]
    np.testing.assert_allclose(found["probability"], classifier.predict_proba(queries)[:, 1], rtol=1e-6)
    assert found["predicted"].tolist() == classifier.predict(queries).tolist()
    assert found["nearest"][0] == "CCO" and found["similarity"][0] == 1 and found["in_domain"][0]
    assert found["predicted"][2] is found["nearest"][2] is found["in_domain"][2] is None
    assert all(np.isnan(found[name][2]) for name in ("probability", "prior", "spread", "similarity"))
    points = classifier.points(queries)
    again = classifier.details(queries, points=points)
    assert pd.DataFrame(again).equals(pd.DataFrame(found))
    with pytest.raises(SequenceError, match="there are 1 sequences, but points of 5"):
        classifier.details(["CC"], points=points)
    assert classifier.details(LIBRARY)["in_domain"].dtype == bool
    regressor = InContextRegressor(tiny_learner).fit(SMILES, NUMBERS)
    wide, narrow = regressor.details(LIBRARY), regressor.details(LIBRARY, coverage=0.5)
    assert list(wide) == ["predicted", "lower", "upper", "spread", "nearest", "similarity", "in_domain"]
    # answers beside those that the spread is of may differ from answers alone as single precision rounds
    ends = np.stack((wide["lower"], wide["upper"]), 1)
    np.testing.assert_allclose(ends, regressor.predict_interval(LIBRARY), rtol=1e-6)
    assert (wide["lower"] < narrow["lower"]).all() and (wide["spread"] > 0).all()
    with pytest.raises(ConfigError, match="^coverage must be at least 0.5 and below 1, not 2"):
        regressor.details(LIBRARY, coverage=2)


def test_states_that_do_not_fit(
    tiny_learner: str, tiny_models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = command(tmp_path, tiny_learner, CLASSES)
    with pytest.raises(
        ModelError, match=r"command.state predicts classes: InContextClassifier.from_state reads it"
    ):
        InContextRegressor.from_state(made, tiny_learner)
    with pytest.raises(ModelError, match="was made by another model than .*; build it again"):
        InContextClassifier.from_state(made, tiny_models["protein"])
    with pytest.raises(ModelError, match="cannot read the state .*none.state"):
        InContextClassifier.from_state(tmp_path / "none.state")
    # the bundled learner of the kind is the one that is meant
    monkeypatch.setitem(learners.DEFAULT_LEARNERS, "smiles", tiny_learner)
    found = InContextClassifier.from_state(made)
    assert found.model == tiny_learner
    with pytest.raises(OutputError, match="no/assay.state cannot be written"):
        found.save_state(tmp_path / "no" / "assay.state")
