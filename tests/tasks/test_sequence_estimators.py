"""SequenceRegressor and SequenceClassifier keep scikit-learn's contract and learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.tasks.estimators import SequenceClassifier, SequenceRegressor

_RNG = np.random.default_rng(0)
SMILES = sorted({"C" + "".join(_RNG.choice(list("CCON"), int(_RNG.integers(2, 9)))) + "C" for _ in range(60)})
OXYGENS = np.array([one.count("O") + 0.1 * len(one) for one in SMILES])
HAS_NITROGEN = np.array(["yes" if "N" in one else "no" for one in SMILES])


@pytest.fixture
def regressor(tiny_models: dict[str, str]) -> SequenceRegressor:
    """Return a regressor with the tiny model of molecules."""
    return SequenceRegressor(tiny_models["smiles"])


@pytest.fixture
def classifier(tiny_models: dict[str, str]) -> SequenceClassifier:
    """Return a classifier with the tiny model of molecules."""
    return SequenceClassifier(tiny_models["smiles"], head="linear")


def test_numbers_are_learned(regressor: SequenceRegressor) -> None:
    found = regressor.fit(SMILES, OXYGENS).predict(SMILES)
    assert found.shape == (len(SMILES),) and regressor.score(SMILES, OXYGENS) > 0.7
    np.testing.assert_allclose(regressor.predict(SMILES[3:4]), found[3:4], rtol=1e-3, atol=1e-4)


def test_several_numbers_with_gaps(regressor: SequenceRegressor) -> None:
    values = np.stack([OXYGENS, -OXYGENS], 1)
    values[::3, 1] = np.nan
    values[5] = np.nan
    assert regressor.fit(SMILES, values).predict(SMILES[:4]).shape == (4, 2)


def test_classes_are_learned(classifier: SequenceClassifier) -> None:
    classifier.fit(SMILES, HAS_NITROGEN)
    assert list(classifier.classes_) == ["no", "yes"] and classifier.score(SMILES, HAS_NITROGEN) > 0.8
    chances = classifier.predict_proba(SMILES)
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(classifier.classes_[chances.argmax(1)], classifier.predict(SMILES))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_is_no_class(missing: object, classifier: SequenceClassifier) -> None:
    kept = slice(5, None)
    alone = clone(classifier).fit(SMILES[kept], HAS_NITROGEN[kept]).predict_proba(SMILES)
    found = classifier.fit(SMILES, [*[missing] * 5, *HAS_NITROGEN[kept].tolist()])
    assert found.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(found.predict_proba(SMILES), alone)
    numbers = [*[missing] * 5, *(HAS_NITROGEN[kept] == "yes").astype(int).tolist()]
    assert classifier.fit(SMILES, numbers).classes_.tolist() == [0, 1]


def test_the_contract_of_scikit_learn(regressor: SequenceRegressor, classifier: SequenceClassifier) -> None:
    for model, target in ((regressor, OXYGENS), (classifier, HAS_NITROGEN)):
        again = clone(model.set_params(random_state=3))
        assert again.get_params() == model.get_params() and not hasattr(again, "head_")
        scores = cross_val_score(make_pipeline(again.set_params(head="linear")), SMILES, target, cv=3)
        assert np.isfinite(scores).all()
        fitted = again.fit(SMILES, target)
        kept = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(kept.predict(SMILES), fitted.predict(SMILES))
        assert "_held" not in fitted.__getstate__()


def test_bad_rows_raise_or_give_nothing(regressor: SequenceRegressor, classifier: SequenceClassifier) -> None:
    texts = [*SMILES, "C1CC", None]
    with pytest.raises(SequenceError, match=f"sequence {len(SMILES)}: invalid_smiles"):
        regressor.fit(texts, [*OXYGENS, 0.0, 0.0])
    regressor.set_params(invalid="nan").fit(texts, [*OXYGENS, 0.0, 0.0])
    assert np.isnan(regressor.predict(["CCO", "C1CC"])).tolist() == [False, True]
    classifier.set_params(invalid="nan").fit(SMILES, HAS_NITROGEN)
    assert classifier.predict(["CCN", "C1CC", ""])[1:].tolist() == [None, None]
    assert np.isnan(classifier.predict_proba(["CCN", "C1CC"])).tolist() == [[False] * 2, [True] * 2]


def test_what_is_refused(regressor: SequenceRegressor, classifier: SequenceClassifier) -> None:
    with pytest.raises(NotFittedError, match="this SequenceRegressor is not fitted yet"):
        regressor.predict(SMILES)
    with pytest.raises(
        SequenceError, match="there are 60 sequences, but 2 values|there are .* sequences, but 2"
    ):
        regressor.fit(SMILES, [1.0, 2.0])
    with pytest.raises(SequenceError, match="at least 2 are needed"):
        regressor.fit(SMILES[:2], [1.0, np.nan])
    with pytest.raises(SequenceError, match="there is one class alone, 'a': there is nothing"):
        classifier.fit(SMILES, ["a"] * len(SMILES))
    with pytest.raises(SequenceError, match="there is no class at all"):
        classifier.fit(SMILES, [None] * len(SMILES))
    with pytest.raises(SequenceError, match="classes must be of one type"):
        classifier.fit(SMILES, np.array(["a", 1] * (len(SMILES) // 2), object))
    for value in (np.inf, -np.inf, 1e200):
        with pytest.raises(SequenceError, match=r"value 3 is .*: that is no number to compute with"):
            regressor.fit(SMILES, [*OXYGENS[:3], value, *OXYGENS[4:]])
    with pytest.raises(SequenceError, match="classes must come as one column"):
        classifier.fit(SMILES, np.zeros((len(SMILES), 2)))
    for wrong in ({"pool": "none"}, {"head": "round"}, {"invalid": "drop"}, {"class_weights": "some"}):
        with pytest.raises(ConfigError):
            clone(regressor).set_params(**wrong).fit(SMILES, OXYGENS)
