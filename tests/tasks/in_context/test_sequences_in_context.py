"""Predictions from labelled proteins and DNA: the mechanism of molecules, with the learner that needs no training."""

import csv
import io
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from bio_xlstm.errors import InputError, ModelError, SequenceError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.tasks.estimators import InContextClassifier, InContextRegressor
from bio_xlstm.tasks.in_context import learners
from bio_xlstm.tasks.in_context.job import InContextJob, predict_in_context
from bio_xlstm.tasks.in_context.request import InContextRequest, SupportOptions
from bio_xlstm.tasks.in_context.states import AssayStateRequest, build_assay_state
from bio_xlstm.tasks.states import describe_state

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
WILD = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEV"
Ask = Callable[..., InContextRequest]


def variants(count: int, changes: int = 3, seed: int = 0) -> list[str]:
    """Draw different variants of one protein."""
    draw = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        one = list(WILD)
        for place in draw.choice(len(WILD), changes, replace=False):
            one[place] = str(draw.choice(list(LETTERS)))
        found["".join(one)] = None
    return list(found)


def effects(sequences: list[str]) -> np.ndarray:
    """Add what every letter does at its position, which for half of the positions is nothing."""
    draw = np.random.default_rng(7)
    table = draw.normal(size=(len(WILD), 128)) * (draw.random(len(WILD)) < 0.5)[:, None]
    # what a position loses is alike for all letters that are not its own
    table += 2 * draw.normal(size=(len(WILD), 1))
    table[np.arange(len(WILD)), [ord(letter) for letter in WILD]] = 0
    return np.array([sum(table[place, ord(one)] for place, one in enumerate(text)) for text in sequences])


KNOWN = variants(24)
VALUES = effects(KNOWN)
NUMBERS = "\n".join(
    ["mutant,mutated_sequence,y", *(f"v{n},{one},{VALUES[n]:.3f}" for n, one in enumerate(KNOWN))]
)
CLASSES = "\n".join(
    ["mutant,mutated_sequence,active", *(f"v{n},{one},{n % 3 == 0:d}" for n, one in enumerate(KNOWN))]
)
QUERIES = (
    f">a\n{WILD}\n>b\nMK1TAYIAK*\n>c\n\n>d\n{WILD.lower()}\n>e\nMKV*LLA\n>f\n{KNOWN[5]}\n>g\n{WILD[:-3]}\n"
)


@pytest.fixture
def ask(tiny_models: dict[str, str], tmp_path: Path) -> Ask:
    """Return a function that writes a support and queries and asks for predictions."""

    def make(support: str | None = NUMBERS, queries: str = QUERIES, **options: Any) -> InContextRequest:
        name = options.pop("name", "new.fasta")
        (tmp_path / name).write_text(queries)
        target = str(tmp_path / options.pop("output", "out.csv"))
        given = None
        if support is not None:
            (tmp_path / "labelled.csv").write_text(support)
            given = SupportOptions(support=str(tmp_path / "labelled.csv"))
        options = {"model": tiny_models["protein"]} | options
        return InContextRequest(
            support=given, input=str(tmp_path / name), output=target, quiet=True, **options
        )

    return make


@pytest.fixture
def tiny_defaults(tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tiny models be the bundled ones."""
    for kind in ("protein", "dna"):
        monkeypatch.setitem(learners.DEFAULT_LEARNERS, kind, tiny_models[kind])


def lines(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_numbers_of_proteins(ask: Ask, tmp_path: Path) -> None:
    said: list[str] = []
    outcome = predict_in_context(ask(), said.append)
    rows = lines(tmp_path / "out.csv")
    assert outcome.rows == 7 and outcome.failed == 2
    assert [row["status"] for row in rows] == ["ok", "cleaned", "empty", "ok", "inner_stop", "ok", "ok"]
    for row in (rows[0], rows[1], rows[5], rows[6]):
        assert float(row["lower"]) < float(row["predicted"]) < float(row["upper"])
        assert float(row["spread"]) > 0
    assert rows[2]["predicted"] == rows[4]["nearest"] == ""
    # lower case is the same protein
    assert rows[0]["predicted"] == rows[3]["predicted"]
    assert rows[5]["nearest"] == "v5" and rows[5]["similarity"] == "1" and rows[5]["in_domain"] == "yes"
    assert "24 examples of y" in said[0]


def test_classes_of_proteins(ask: Ask, tmp_path: Path) -> None:
    predict_in_context(ask(CLASSES))
    rows = lines(tmp_path / "out.csv")
    for row in (rows[0], rows[5]):
        assert 0 < float(row["probability"]) < 1 and row["predicted"] in "01"
        # nothing is known of a protein before the support was read
        assert float(row["prior"]) == pytest.approx(1 / 3, abs=1e-5)


@pytest.mark.usefixtures("tiny_defaults")
def test_the_kind_of_the_support_chooses_the_learner(ask: Ask, tmp_path: Path) -> None:
    said: list[str] = []
    predict_in_context(ask(model=None), said.append)
    assert said[0].startswith(f"{tmp_path / 'labelled.csv'} holds proteins: using the bundled model")
    draw = np.random.default_rng(0)
    bases = ["".join(draw.choice(list("ACGT"), 40)) for _ in range(12)]
    table = "\n".join(["id,sequence,y", *(f"d{n},{one},{one.count('G')}" for n, one in enumerate(bases))])
    predict_in_context(
        ask(table, f">q\n{bases[3]}\n>r\n{bases[4]}N\n", model=None, output="dna.csv"), said.append
    )
    rows = lines(tmp_path / "dna.csv")
    assert any("holds DNA: using the bundled model" in line for line in said)
    assert rows[0]["nearest"] == "d3" and float(rows[1]["predicted"]) > 0


def test_position_is_learned(tiny_models: dict[str, str]) -> None:
    """64 variants of one protein say what the others do, though the language model knows nothing."""
    sequences = variants(364, changes=2)
    values = effects(sequences)
    regressor = InContextRegressor(tiny_models["protein"]).fit(sequences[:64], values[:64])
    found = regressor.predict(sequences[64:])
    assert spearmanr(found, values[64:]).statistic > 0.5
    assert regressor.state_.states.shares[0, 0, 2:].sum() > 0  # type: ignore[attr-defined]
    low, high = regressor.predict_interval(sequences[64:]).T
    assert ((low <= values[64:]) & (values[64:] <= high)).mean() > 0.75


def test_other_lengths_are_answered(tiny_models: dict[str, str]) -> None:
    """What was cut off or added makes no error, and supports of several lengths are read."""
    regressor = InContextRegressor(tiny_models["protein"]).fit(KNOWN, effects(KNOWN))
    assert np.isfinite(regressor.predict([WILD[:-4], WILD + "GGS", "MK"])).all()
    mixed = [text[: 20 + n % 9] for n, text in enumerate(KNOWN)]
    regressor.fit(mixed, effects(KNOWN))
    assert np.isfinite(regressor.predict(KNOWN)).all()
    assert regressor.state_.states.length.eq(-1).all()  # type: ignore[attr-defined]


def test_what_is_not_compared_letter_by_letter_is_said(tiny_models: dict[str, str]) -> None:
    """Some sequences of another length, and sequences that are too long; unrelated lengths are nothing to tell."""
    regressor = InContextRegressor(tiny_models["protein"])
    with pytest.warns(
        UserWarning, match="most sequences have 32 letters, 2 of 24 another number: only queries of 32"
    ):
        regressor.fit([text + "G" * (n < 2) for n, text in enumerate(KNOWN)], effects(KNOWN))
    assert regressor.state_.states.length.eq(32).all()  # type: ignore[attr-defined]
    with pytest.warns(
        UserWarning,
        match="1 sequence of 32 letters differs from the others in more than 16, and is not compared",
    ):
        regressor.fit([*KNOWN[1:], "X" * 32], effects(KNOWN))
    with pytest.warns(UserWarning, match="more than 2,048 letters are not compared"):
        regressor.fit([text * 65 for text in KNOWN[:4]], effects(KNOWN[:4]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor.fit([text[: 20 + n % 9] for n, text in enumerate(KNOWN)], effects(KNOWN))


def test_bounds_alone_are_said(tiny_models: dict[str, str]) -> None:
    with pytest.warns(UserWarning, match="no value is more than a bound"):
        found = InContextRegressor(tiny_models["protein"]).fit(KNOWN, [">6"] * 12 + ["<4"] * 12)
    assert np.isfinite(found.predict(KNOWN)).all()


def test_estimators(tiny_models: dict[str, str]) -> None:
    labels = np.array(["lives" if n % 2 else "dies" for n in range(24)])
    classifier = InContextClassifier(tiny_models["protein"], invalid="nan").fit(KNOWN, labels)
    chances = classifier.predict_proba([*KNOWN[:3], "", "MK*V"])
    np.testing.assert_allclose(chances[:3].sum(1), 1)
    assert np.isnan(chances[3:]).all()
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(KNOWN), classifier.predict_proba(KNOWN))
    points = classifier.points(KNOWN[:4])
    np.testing.assert_allclose(classifier.predict_proba_points(points), classifier.predict_proba(KNOWN[:4]))
    with pytest.raises(SequenceError, match="sequence 1: inner_stop"):
        InContextRegressor(tiny_models["protein"]).fit([WILD, "MK*V"], [1, 2])


def test_order_batches_and_shards_do_not_matter(ask: Ask, tmp_path: Path) -> None:
    texts = [*variants(40, seed=3), *(WILD[: 3 + n] for n in range(20))]

    def written(some: list[str]) -> str:
        return "".join(f">{n}\n{text}\n" for n, text in enumerate(some))

    def numbers(name: str) -> np.ndarray:
        columns = ("predicted", "lower", "upper", "spread", "similarity")
        return np.array([[float(row[column]) for column in columns] for row in lines(tmp_path / name)])

    predict_in_context(ask(queries=written(texts)))
    predict_in_context(ask(queries=written(texts[::-1]), name="r.fasta", output="r.csv"))
    np.testing.assert_allclose(numbers("r.csv"), numbers("out.csv")[::-1], rtol=1e-4, atol=1e-5)
    predict_in_context(ask(queries=written(texts), output="small.csv", batch_tokens=40))
    np.testing.assert_allclose(numbers("small.csv"), numbers("out.csv"), rtol=1e-4, atol=1e-5)
    predict_in_context(ask(queries=written(texts), output="s.csv", shard=(2, 3)))
    np.testing.assert_allclose(numbers("s.csv"), numbers("out.csv")[1::3], rtol=1e-4, atol=1e-5)
    turned = "\n".join([NUMBERS.split("\n")[0], *NUMBERS.split("\n")[:0:-1]])
    predict_in_context(ask(turned, queries=written(texts), output="turned.csv"))
    assert (tmp_path / "turned.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


@pytest.mark.usefixtures("tiny_defaults")
def test_a_state_says_the_same(ask: Ask, tiny_models: dict[str, str], tmp_path: Path) -> None:
    predict_in_context(ask())
    path = str(tmp_path / "assay.state")
    said: list[str] = []
    request = AssayStateRequest(support=str(tmp_path / "labelled.csv"), output=path)
    done = build_assay_state(request, said.append)
    assert "holds proteins: using the bundled model" in said[0]
    assert done[-1] == f"use: bioxlstm predict --state {path} new.fasta -o predictions.csv"
    for options in ({}, {"model": None}):
        predict_in_context(ask(None, state=path, output="again.csv", overwrite=True, **options))
        assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    found = describe_state(path)
    assert found["task"] == "regression" and "24 examples" in found["support"]
    for other in ("dna", "smiles"):
        with pytest.raises((ModelError, InputError)):
            predict_in_context(ask(None, state=path, model=tiny_models[other], output="no.csv"))
    # it is -m that does not fit, whatever the library holds
    with pytest.raises(
        ModelError, match=r"assay.state was made of proteins, but -m \S* reads DNA; leave -m out, or"
    ):
        predict_in_context(
            ask(None, state=path, model=tiny_models["dna"], queries=">a\nACGT\n", output="no.csv")
        )
    state = AssayState.load(path)
    AssayState(state.states, state.facts, state.tables, "of another").save(tmp_path / "other.state")
    with pytest.raises(ModelError, match="was made by another model than protein; build it again"):
        predict_in_context(ask(None, state=str(tmp_path / "other.state"), output="no.csv"))


def test_a_killed_run_resumes(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"queries": "".join(f">{n}\n{WILD[: 5 + n % 9]}\n" for n in range(150)), "batch_tokens": 32}
    predict_in_context(ask(output="whole.csv", **options))
    compute, done = InContextJob.compute, []

    def dying(self: Any, ready: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(ready)
        return compute(self, ready)

    monkeypatch.setattr(InContextJob, "compute", dying)
    with pytest.raises(KeyboardInterrupt):
        predict_in_context(ask(**options))
    monkeypatch.setattr(InContextJob, "compute", compute)
    said: list[str] = []
    predict_in_context(ask(**options), said.append)
    assert any(line.startswith("continuing: 2 units") for line in said)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_kinds_do_not_mix(ask: Ask, tiny_learner: str) -> None:
    molecules = "smiles,y\nCC(=O)O,1.5\nc1ccccc1,2.5\n"
    library = "smiles\nc1ccccc1O\nCC(=O)N\n"
    with pytest.raises(
        InputError, match="new.smi holds molecules, but prediction from this support reads proteins"
    ):
        predict_in_context(ask(queries="c1ccccc1O x\nCC(=O)N y\n", name="new.smi"))
    with pytest.raises(
        InputError,
        match=r"new.fasta holds proteins, but prediction from this support reads molecules \(-m .*tiny-icl\)",
    ):
        predict_in_context(ask(molecules, model=tiny_learner))
    with pytest.raises(InputError, match="labelled.csv holds proteins, but the learner reads molecules"):
        predict_in_context(ask(queries=library, name="new.csv", model=tiny_learner))
    wrong = r"labelled.csv holds molecules, but the learner reads proteins \(.* column, {} another learner\)$"
    with pytest.raises(InputError, match=wrong.format("-m")):
        predict_in_context(ask(molecules))
    with pytest.raises(InputError, match=wrong.format("--kind")):
        predict_in_context(ask(molecules, model=None, kind="protein"))
    # what is wrong with the support is said first, not what that would mean for the library
    with pytest.raises(InputError, match=r"labelled\.csv: the file is empty"):
        predict_in_context(ask("", model=None))


@pytest.mark.usefixtures("tiny_defaults")
def test_what_files_hold_is_said_and_only_what_mends_it_is_named(ask: Ask, tmp_path: Path) -> None:
    """Names of columns and letters that are one kind alone leave nothing to choose."""
    molecules, peptides = "smiles\nc1ccccc1O\nCC(=O)N\n", "sequence,y\nRGDS,1\nGRGD,2\nSDGR,3\n"
    state = AssayStateRequest(support=str(tmp_path / "labelled.csv"), output=str(tmp_path / "a.state"))
    no_option = "; both must be of one kind, which neither -m nor --kind changes$"
    for given, options, words in (
        (
            (NUMBERS, molecules),
            {"name": "new.csv", "model": None},
            f"new.csv holds molecules, but the support .*labelled.csv holds proteins{no_option}",
        ),
        ((NUMBERS, ">q\nACGTACGT\n"), {"model": None}, "--kind protein if both hold proteins$"),
        ((peptides, ">q\nMKTAYIAK\n"), {"model": None}, "--kind protein if both hold proteins$"),
        (
            (NUMBERS, molecules),
            {"name": "new.csv"},
            r"\(-m .*\); another -m if the support holds molecules too$",
        ),
    ):
        with pytest.raises(InputError, match=words):
            predict_in_context(ask(*given, **options))
    ask()
    build_assay_state(state)
    with pytest.raises(InputError, match=f"but the state .*a.state was made of proteins{no_option}"):
        predict_in_context(ask(None, molecules, name="new.csv", state=str(tmp_path / "a.state"), model=None))


def test_repeats_and_long_names(ask: Ask, tmp_path: Path, tiny_models: dict[str, str]) -> None:
    long = "MKTAYIAKQR" * 15
    table = f"sequence,y\n{WILD},1\n{WILD.lower()},2\n{long},3\n{KNOWN[0]},x\n{KNOWN[1]},\nMK*V,4\n"
    said: list[str] = []
    predict_in_context(ask(table, f">q\n{long}\n"), said.append)
    text = "\n".join(said)
    assert "2 examples of y" in text and "1 protein stands there several times with different values" in text
    assert "row 5: inner_stop" in text
    assert lines(tmp_path / "out.csv")[0]["nearest"] == "row 2"
    sequences = [WILD.lower(), KNOWN[0], long]
    model = InContextRegressor(tiny_models["protein"]).fit(sequences, [1, 2, 3])
    assert model.details(sequences)["nearest"].tolist() == [WILD.lower(), KNOWN[0], "row 2"]
    assert sorted(model.state_.facts["names"]) == sorted([WILD.lower(), KNOWN[0], "row 2"])
    twice = f"sequence,active\n{long},yes\n{long},no\n{WILD},yes\n{KNOWN[0]},no\n"
    predict_in_context(ask(twice, output="two.csv"), said.append)
    assert any("rows 0, 1 contradict each other about MKTAYIAKQR" in line and "..." in line for line in said)
