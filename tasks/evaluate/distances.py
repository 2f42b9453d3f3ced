"""Distances of two samples, two sets of counts, and the interval of a share."""

from collections.abc import Mapping

import numpy as np

NOTHING = float("nan")


def _cumulated(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of both samples in order, and how far their shares below each value are apart."""
    values = np.sort(np.concatenate([one, other]))
    below = [np.searchsorted(np.sort(sample), values, side="right") / len(sample) for sample in (one, other)]
    return values, np.abs(below[0] - below[1])


def wasserstein(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Wasserstein-1 distance of two samples, in their unit; NaN where one holds nothing.

    >>> wasserstein(np.array([0, 1]), np.array([2, 5]))
    3.0
    """
    one, other = finite(one), finite(other)
    if not len(one) or not len(other):
        return NOTHING
    values, apart = _cumulated(one, other)
    return float(np.diff(values) @ apart[:-1])


def kolmogorov_smirnov(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples, 0 to 1; NaN where one holds nothing."""
    one, other = finite(one), finite(other)
    return float(_cumulated(one, other)[1].max()) if len(one) and len(other) else NOTHING


def finite(values: np.ndarray) -> np.ndarray:
    """Return the numbers among values, as float64."""
    values = np.asarray(values, np.float64)
    return values[np.isfinite(values)]


def mean(values: np.ndarray) -> float:
    """Average the numbers among values; NaN without any."""
    numbers = finite(values)
    return float(numbers.mean()) if len(numbers) else NOTHING


def median(values: np.ndarray) -> float:
    """Return the median of the numbers among values; NaN without any."""
    numbers = finite(values)
    return float(np.median(numbers)) if len(numbers) else NOTHING


def deviation(values: np.ndarray) -> float:
    """Return the standard deviation of the numbers among values; NaN without any."""
    numbers = finite(values)
    return float(numbers.std()) if len(numbers) else NOTHING


def jensen_shannon(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Jensen-Shannon distance of two sets of counts (K,): root of the divergence in bits, 0 to 1."""
    if not one.sum() or not other.sum():
        return NOTHING
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    divergence = sum(float(s[s > 0] @ np.log2(s[s > 0] / middle[s > 0])) / 2 for s in (p, q))
    return float(max(divergence, 0.0) ** 0.5)


def cosine(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return the cosine of two sets of counts, 0 to 1; NaN where one holds nothing."""
    if not one or not other:
        return NOTHING
    common = sum(count * other[key] for key, count in one.items() if key in other)
    norms = [sum(count**2 for count in counts.values()) for counts in (one, other)]
    return float(common / (norms[0] * norms[1]) ** 0.5)


def share_interval(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    if not total:
        return 0.0, 1.0
    z, share = 1.96, hits / total
    middle = share + z * z / (2 * total)
    half = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    scale = 1 + z * z / total
    return (middle - half) / scale, (middle + half) / scale
