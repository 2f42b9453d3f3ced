"""InContextRegressor and InContextClassifier keep scikit-learn's contract."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from bio_xlstm.errors import ConfigError, InputError, ModelError, SequenceError
from bio_xlstm.in_context.directory import load_in_context
from bio_xlstm.tasks.estimators import InContextClassifier, InContextRegressor

_RNG = np.random.default_rng(0)
SMILES = sorted({"C" + "".join(_RNG.choice(list("CCON"), int(_RNG.integers(2, 9)))) + "C" for _ in range(40)})
OXYGENS = np.array([one.count("O") + 0.1 * len(one) for one in SMILES])
HAS_NITROGEN = np.array(["yes" if "N" in one else "no" for one in SMILES])


@pytest.fixture
def regressor(tiny_learner: str) -> InContextRegressor:
    """Return a regressor with the small learner."""
    return InContextRegressor(tiny_learner)


@pytest.fixture
def classifier(tiny_learner: str) -> InContextClassifier:
    """Return a classifier with the small learner."""
    return InContextClassifier(tiny_learner)


def test_numbers(regressor: InContextRegressor) -> None:
    found = regressor.fit(SMILES, OXYGENS).predict(SMILES)
    assert found.shape == (len(SMILES),) and np.corrcoef(found, OXYGENS)[0, 1] > 0.2
    low, high = regressor.predict_interval(SMILES).T
    assert (low < found).all() and (found < high).all()
    wider = regressor.predict_interval(SMILES, coverage=0.95)
    assert (wider[:, 0] <= low).all() and (wider[:, 1] >= high).all()
    for wrong in (0.1, 1.5, float("nan"), "a"):
        with pytest.raises(ConfigError, match=f"^coverage must be at least 0.5 and below 1, not {wrong}"):
            regressor.predict_interval(SMILES, coverage=wrong)
    assert np.isnan(regressor.fit(SMILES[:8], OXYGENS[:8]).predict_interval(SMILES[:2])).all()


def test_bounds_and_gaps(regressor: InContextRegressor) -> None:
    regressor.fit(SMILES[:4], [">1.5", 2, float("nan"), "3.5"])
    assert regressor.n_examples_ == 3 and regressor.state_.facts["bounds"] == 1
    for wrong, words in (
        ("much", "'much' is not a number"),
        ([1], r"\[1\] is not a number"),
        (float("inf"), "'inf' is not a finite number"),
        (1e200, r"'1e\+200' is too large; write it in another unit, or its logarithm"),
        (">1e300", "'1e300' is too large"),
        (-1e-300, "'-1e-300' is too small"),
        (-4.690000000000001e-300, "'-4.690000000000001e-300' is too small"),
        (">0." + "0" * 60 + "1", "'1e-61' is too small"),
        ("<1" + "0" * 60, r"'1e\+60' is too large"),
    ):
        values = np.empty(2, object)
        values[:] = [1, wrong]
        with pytest.raises(SequenceError, match=f"value 1: {words}"):
            regressor.fit(SMILES[:2], values)


def test_labels_that_are_missing_are_left_out(
    regressor: InContextRegressor, classifier: InContextClassifier
) -> None:
    known = regressor.fit([SMILES[0], SMILES[3]], [1, 2]).predict(SMILES)
    for gap in (None, float("nan"), pd.NA, "", "n/a"):
        regressor.fit([*SMILES[:3], SMILES[3]], [1, gap, gap, 2])
        assert regressor.n_examples_ == 2
        np.testing.assert_array_equal(regressor.predict(SMILES), known)
    for classes, gaps in (
        ([1, 0], (None, float("nan"), pd.NA)),
        (["no", "yes"], (None, float("nan"), pd.NA, "", " ")),
    ):
        wanted = classifier.fit(SMILES[:2], classes).predict_proba(SMILES)
        for gap in gaps:
            for labels in ([*classes, gap], pd.Series([*classes, gap])):
                classifier.fit(SMILES[:3], labels)
                assert classifier.classes_.tolist() == sorted(classes) and classifier.n_examples_ == 2
                np.testing.assert_array_equal(classifier.predict_proba(SMILES), wanted)
    with pytest.raises(SequenceError, match=r"two classes are needed, not 1 \('a'\)"):
        classifier.fit(SMILES[:3], ["a", None, "a"])
    with pytest.raises(SequenceError, match=r"two classes are needed, not 0 \(no label at all\)"):
        classifier.fit(SMILES[:3], [None] * 3)


def test_classes(classifier: InContextClassifier) -> None:
    chances = classifier.fit(SMILES, HAS_NITROGEN).predict_proba(SMILES)
    assert chances.shape == (len(SMILES), 2) and list(classifier.classes_) == ["no", "yes"]
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(classifier.classes_[chances.argmax(1)], classifier.predict(SMILES))
    for labels, words in ((["a"] * 3, r"not 1 \('a'\)"), (["a", "b", "c"], r"not 3 \('a', 'b', 'c'\)")):
        with pytest.raises(SequenceError, match=f"two classes are needed, {words}"):
            classifier.fit(SMILES[:3], labels)


def test_a_library_encoded_once(regressor: InContextRegressor, classifier: InContextClassifier) -> None:
    points = regressor.points(SMILES)
    assert points.shape == (len(SMILES), load_in_context(regressor.model).width) and points.dtype == np.uint8
    regressor.fit(SMILES, OXYGENS)
    np.testing.assert_allclose(regressor.predict_points(points), regressor.predict(SMILES), rtol=1e-4)
    classifier.fit(SMILES, HAS_NITROGEN)
    found = classifier.predict_proba_points(points)
    np.testing.assert_allclose(found, classifier.predict_proba(SMILES), rtol=1e-4, atol=1e-6)
    assert set(classifier.predict_points(points)) <= {"yes", "no"}
    intervals = regressor.predict_interval_points(points, coverage=0.8)
    np.testing.assert_allclose(intervals, regressor.predict_interval(SMILES, coverage=0.8), rtol=1e-4)
    for wrong in (points[0], points[:, :-1], points.astype(np.float32)):
        with pytest.raises(
            SequenceError,
            match=r"points must be bytes \(uint8\) of shape \(N, [0-9]+\), as points\(\) gives them",
        ):
            regressor.predict_points(wrong)


def test_the_contract_of_scikit_learn(regressor: InContextRegressor, classifier: InContextClassifier) -> None:
    for model, target in ((regressor, OXYGENS), (classifier, HAS_NITROGEN)):
        again = clone(model.set_params(batch_tokens=256))
        assert again.get_params() == model.get_params() and not hasattr(again, "state_")
        assert np.isfinite(cross_val_score(make_pipeline(again), SMILES, target, cv=3)).all()
        fitted = again.fit(SMILES, target)
        other = pickle.loads(pickle.dumps(fitted))
        assert "_held" not in other.__dict__
        np.testing.assert_array_equal(other.predict(SMILES), fitted.predict(SMILES))
        with pytest.raises(NotFittedError, match="is not fitted yet: call fit first"):
            clone(model).predict(SMILES)
    chances = cross_val_predict(classifier, SMILES, HAS_NITROGEN, cv=3, method="predict_proba")
    assert chances.shape == (len(SMILES), 2)


def test_a_loaded_learner(tiny_learner: str, regressor: InContextRegressor) -> None:
    model = InContextRegressor(load_in_context(tiny_learner)).fit(SMILES, OXYGENS)
    found = regressor.fit(SMILES, OXYGENS).predict(SMILES[:3])
    np.testing.assert_allclose(clone(model).fit(SMILES, OXYGENS).predict(SMILES[:3]), found, rtol=1e-5)
    model.state_ = type(model.state_)(model.state_.states, model.state_.facts, model.state_.tables, "another")
    with pytest.raises(ModelError, match="was made by another model"):
        model.predict(SMILES[:1])


def test_molecules_that_cannot_be_read(tiny_learner: str) -> None:
    bad = [*SMILES[:6], "C1CC", None]
    with pytest.raises(SequenceError, match="sequence 6: invalid_smiles: unclosed ring"):
        InContextRegressor(tiny_learner).fit(bad, range(8))
    regressor = InContextRegressor(tiny_learner, invalid="nan").fit(bad, range(8))
    assert regressor.n_examples_ == 6
    points = regressor.points(bad)
    assert not points[6:].any() and points[:6].any(1).all()
    for found in (
        regressor.predict(bad),
        regressor.predict_points(points),
        regressor.predict_interval(bad)[:, 0],
    ):
        assert np.isnan(found[6:]).all()
    assert np.isfinite(regressor.predict(bad)[:6]).all()
    classifier = InContextClassifier(tiny_learner, invalid="nan").fit(bad, [0, 1] * 4)
    assert (
        classifier.predict(bad)[6:].tolist() == [None, None]
        and np.isnan(classifier.predict_proba(bad)[7]).all()
    )
    with pytest.raises(ConfigError, match="invalid must be one of raise, nan"):
        InContextRegressor(tiny_learner, invalid="skip").fit(SMILES, OXYGENS)
    with pytest.raises(SequenceError, match="there are 3 sequences, but 2 values"):
        InContextRegressor(tiny_learner).fit(SMILES[:3], [1, 2])


def test_what_fit_leaves_out_is_said(tiny_learner: str) -> None:
    lost = ["CCO", "CCN", "OCC", "C(C", None]
    with pytest.warns(UserWarning) as said:
        InContextClassifier(tiny_learner, invalid="nan").fit(lost, [1, 1, 1, 0, 0])
    assert [str(one.message) for one in said] == [
        "row 3 is left out: invalid_smiles: extra open parentheses at position 2",
        "row 4 is left out: empty: empty SMILES",
        "1 molecule stands there several times with one label, which counts once",
        "all examples have the class '1': there is little to learn from them",
    ]
    assert all(one.filename == __file__ for one in said)
    with pytest.warns(UserWarning, match="4 more rows are left out"):
        InContextRegressor(tiny_learner, invalid="nan").fit(["C(C"] * 9 + SMILES[:2], range(11))
    with pytest.warns(UserWarning, match="^1 more row is left out$"):
        InContextRegressor(tiny_learner, invalid="nan").fit(["C(C"] * 6 + SMILES[:2], range(8))
    with pytest.raises(
        InputError, match=r"fit: no row can be used as a labelled example \(row 0: invalid_smiles"
    ):
        InContextRegressor(tiny_learner, invalid="nan").fit(["C(C"], [1])


def test_contradictions_are_said(classifier: InContextClassifier) -> None:
    with pytest.warns(UserWarning, match="row [01] is left out: rows 0, 1 contradict each other about CCO"):
        classifier.fit(["CCO", "OCC", "CCN", "CCC"], [0, 1, 0, 1])
    assert classifier.n_examples_ == 2
