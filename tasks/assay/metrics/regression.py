"""Metrics of numbers against measured numbers."""

from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray, np.ndarray], float]
NAN = float("nan")


def rmse(values: np.ndarray, predicted: np.ndarray) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.mean((values - predicted) ** 2)))


def mae(values: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean absolute error."""
    return float(np.mean(np.abs(values - predicted)))


def r2(values: np.ndarray, predicted: np.ndarray) -> float:
    """Return the coefficient of determination, NaN where all values are equal."""
    spread = float(np.sum((values - values.mean()) ** 2))
    return 1 - float(np.sum((values - predicted) ** 2)) / spread if spread > 0 else NAN


def pearson(values: np.ndarray, predicted: np.ndarray) -> float:
    """Return the linear correlation, NaN where one side is constant."""
    one, other = values - values.mean(), predicted - predicted.mean()
    # a constant leaves rounding errors behind
    if np.ptp(values) == 0 or np.ptp(predicted) == 0:
        return NAN
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def spearman(values: np.ndarray, predicted: np.ndarray) -> float:
    """Return the correlation of the ranks, ties sharing theirs; NaN where one side is constant."""
    from scipy.stats import rankdata

    return pearson(rankdata(values), rankdata(predicted))


def kendall(values: np.ndarray, predicted: np.ndarray) -> float:
    """Return Kendall's tau-b; NaN where one side is constant."""
    from scipy.stats import kendalltau

    return float(kendalltau(values, predicted).statistic)


REGRESSION: dict[str, tuple[Function, str]] = {
    "rmse": (rmse, "root of the mean squared error, in the unit of the values"),
    "mae": (mae, "mean absolute error, in the unit of the values"),
    "r2": (r2, "1 - squared error / variance of the values: 1 is perfect, 0 is their mean"),
    "pearson": (pearson, "linear correlation"),
    "spearman": (spearman, "correlation of the ranks; ties share their rank"),
    "kendall": (kendall, "Kendall's tau-b: pairs in the right order less those in the wrong one"),
}
