"""Logistic regression, or ridge regression for numbers, on embeddings; the penalty is chosen by cross-validation."""

import warnings
from typing import Any

import numpy as np

from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.methods.question import One

PENALTIES = tuple(10.0**power for power in range(4, -3, -1))
FOLDS = 4
LEAST = 1e-7


def linear(library: Library, one: One) -> np.ndarray:
    """Predict (M,) log-odds of the positive class, or numbers."""
    features, asked = _standardised(library.embeddings(one.support), library.embeddings(one.queries))
    losses = np.zeros(len(PENALTIES))
    for inner, outer in _folds(one):
        for place, penalty in enumerate(PENALTIES):
            model = _fitted(features[inner], one.values[inner], penalty, numeric=one.numeric)
            losses[place] += _loss(model, features[outer], one.values[outer], numeric=one.numeric)
    # of equal ones the strongest
    model = _fitted(features, one.values, PENALTIES[int(np.argmin(losses))], numeric=one.numeric)
    found: np.ndarray = model.predict(asked) if one.numeric else model.decision_function(asked)
    return found


def _standardised(support: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardise by the support, and turn onto the directions it spans: a penalised fit is the same there."""
    middle, scale = support.mean(0), support.std(0) + 1e-6
    support, queries = (support - middle) / scale, (queries - middle) / scale
    basis = np.linalg.svd(support, full_matrices=False)[2].T  # (E, N)
    return support @ basis, queries @ basis


def _folds(one: One) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide the examples; not at all where a class is too rare to be in every fold."""
    from sklearn.model_selection import KFold, StratifiedKFold

    rarest = len(one.values) if one.numeric else int(min((one.values == 1).sum(), (one.values == 0).sum()))
    count = min(FOLDS, rarest)
    if count < 2:
        return []
    kind = KFold if one.numeric else StratifiedKFold
    return list(kind(count, shuffle=True, random_state=one.seed).split(one.values[:, None], one.values))


def _fitted(features: np.ndarray, values: np.ndarray, penalty: float, *, numeric: bool) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    if numeric:
        return Ridge(alpha=penalty).fit(features, values)
    with warnings.catch_warnings():
        # weak penalties need not be followed to the end
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=1 / penalty, max_iter=100).fit(features, values)


def _loss(model: Any, features: np.ndarray, values: np.ndarray, *, numeric: bool) -> float:
    if numeric:
        return float(((model.predict(features) - values) ** 2).sum())
    right = model.predict_proba(features)[np.arange(len(values)), values.astype(int)]
    return float(-np.log(np.clip(right, LEAST, 1)).sum())
