"""The nearest neighbours by Tanimoto similarity; how many is chosen by leaving examples out."""

import numpy as np

from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.methods.question import One
from bio_xlstm.tasks.fewshot.methods.similarity import tanimoto

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
# of a molecule that has nothing in common: enough to count where none has
LEAST_WEIGHT = 1e-3


def neighbours(library: Library, one: One) -> np.ndarray:
    """Predict (M,) the mean of the nearest examples, weighed by their similarity."""
    fellows = tanimoto(library, one.support, one.support)
    np.fill_diagonal(fellows, -1)
    counts = [count for count in COUNTS if count < len(one.support)]
    chosen = min(counts, key=lambda count: _loss(_mean(fellows, one.values, count), one))
    return _mean(tanimoto(library, one.queries, one.support), one.values, chosen)


def _mean(similarity: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Return the weighed means (M,) of the values of the `count` most similar of N, from similarities (M, N)."""
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    weights = np.maximum(np.take_along_axis(similarity, order, 1), LEAST_WEIGHT)
    found: np.ndarray = (weights * values[order]).sum(1) / weights.sum(1)
    return found


def _loss(predicted: np.ndarray, one: One) -> float:
    return float(np.mean((predicted - one.values) ** 2))
