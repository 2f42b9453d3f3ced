"""A random forest on Morgan bits; the smallest leaf is chosen out of bag, as FS-Mol tunes it."""

import warnings
from typing import Any

import numpy as np

from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.methods.question import One

TREES, PILOT = 500, 100
LEAVES = (1, 2, 5)
LEAST = 1e-3


def forest(library: Library, one: One) -> np.ndarray:
    """Predict (M,) probabilities of the positive class, or numbers."""
    bits = library.bits(one.support)
    pilots = {leaf: _out_of_bag(_grown(bits, one, PILOT, leaf, judged=True), one) for leaf in LEAVES}
    chosen = min(LEAVES, key=lambda leaf: pilots[leaf])
    model = _grown(bits, one, TREES, chosen, judged=False)
    asked = library.bits(one.queries)
    found: np.ndarray = model.predict(asked) if one.numeric else model.predict_proba(asked)[:, 1]
    return found


def _grown(bits: np.ndarray, one: One, trees: int, leaf: int, *, judged: bool) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if one.numeric else RandomForestClassifier
    with warnings.catch_warnings():
        # with few trees some examples are in every bag
        warnings.simplefilter("ignore")
        return kind(
            trees,
            max_features="sqrt",
            min_samples_leaf=leaf,
            random_state=one.seed,
            oob_score=judged,
            n_jobs=1,
        ).fit(bits, one.values)


def _out_of_bag(model: Any, one: One) -> float:
    """Return the loss of the examples by the trees that did not see them."""
    if one.numeric:
        return float(np.nanmean((model.oob_prediction_ - one.values) ** 2))
    right = np.where(one.values == 1, *model.oob_decision_function_.T[::-1])
    return float(-np.nanmean(np.log(np.clip(right, LEAST, 1))))
