"""The points of curves that judge probabilities of two classes."""

from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.assay.metrics.binary import BINS

# points of a curve that are drawn
_MOST = 400
Points = list[tuple[float, float]]


class Bin(NamedTuple):
    """Hold the sequences whose probability lies in one bin."""

    chance: float
    """mean probability"""
    frequency: float
    """how often it came true"""
    size: int
    low: float
    high: float


def roc(truth: np.ndarray, scores: np.ndarray) -> Points:
    """Return (share of negatives above, share of positives above) for every threshold, from (0, 0) to (1, 1)."""
    hits, taken = _hits(truth, scores)
    ones = max(truth.sum(), 1)
    return _thinned(np.append(0, (taken - hits) / max(len(truth) - ones, 1)), np.append(0, hits / ones))


def precision_recall(truth: np.ndarray, scores: np.ndarray) -> Points:
    """Return (recall, precision) for every threshold, as steps."""
    hits, taken = _hits(truth, scores)
    recall, precision = hits / max(truth.sum(), 1), hits / taken
    # precision holds for all that is gained at its threshold
    return _thinned(np.insert(np.repeat(recall, 2)[:-1], 0, 0), np.repeat(precision, 2))


def reliability(happened: np.ndarray, chances: np.ndarray) -> list[Bin]:
    """Put probabilities into 10 bins of equal width, with 95 % intervals of the frequencies (Wilson)."""
    place = np.minimum((chances * BINS).astype(int), BINS - 1)
    found = []
    for number in range(BINS):
        mine = place == number
        count = int(mine.sum())
        if count:
            share = float(happened[mine].mean())
            found.append(Bin(float(chances[mine].mean()), share, count, *wilson(share, count)))
    return found


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `count` (doi:10.1080/01621459.1927.10502953)."""
    z = 1.959964
    bottom = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / bottom
    reach = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / bottom
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))


def _hits(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positives, and all, at or above every threshold; equal scores share one."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    return np.cumsum(truth[order])[ends], ends + 1


def _thinned(x: np.ndarray, y: np.ndarray) -> Points:
    """Leave points out of long curves; both ends stay."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST)).round().astype(int))
    return list(zip(x[kept].tolist(), y[kept].tolist(), strict=True))
