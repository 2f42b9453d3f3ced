"""Metrics of an order: what stands on top, as ProteinGym measures it (doi:10.1101/2023.12.07.570727)."""

import numpy as np

from bio_xlstm.tasks.assay.metrics.binary import auroc, mcc
from bio_xlstm.tasks.assay.metrics.regression import NAN, Function, kendall, spearman

TOP = 0.1


def ndcg(values: np.ndarray, predicted: np.ndarray, share: float = TOP) -> float:
    """Return the discounted gain of the top `share` of the predictions over the best that could be.

    The gain is the value, scaled so that the lowest is 0 and the highest 1; place r counts 1 / log2(r + 1).
    """
    count = int(np.floor(len(values) * share))
    spread = np.ptp(values)
    if not count or spread == 0:
        return NAN
    gains = (values - values.min()) / spread
    weights = 1 / np.log2(np.arange(count) + 2)
    reached = gains[np.argsort(-predicted, kind="stable")[:count]] @ weights
    return float(reached / (np.sort(gains)[::-1][:count] @ weights))


def top_recall(values: np.ndarray, predicted: np.ndarray, share: float = TOP) -> float:
    """Return the share of the highest values that are among the highest predictions."""
    best = values >= np.quantile(values, 1 - share)
    chosen = predicted >= np.quantile(predicted, 1 - share)
    return float((best & chosen).sum() / best.sum())


def median_mcc(classes: np.ndarray, predicted: np.ndarray) -> float:
    """Return the Matthews correlation of classes with whether a prediction reaches the median prediction."""
    return mcc(classes, (predicted >= np.median(predicted)).astype(float))


RANKING: dict[str, tuple[Function, str]] = {
    "spearman": (spearman, "correlation of the ranks; ties share their rank"),
    "kendall": (kendall, "Kendall's tau-b: pairs in the right order less those in the wrong one"),
    "ndcg": (
        ndcg,
        "normalised discounted cumulative gain of the top 10 % of the predictions; gains are values scaled to 0 - 1",
    ),
    "top_recall": (
        top_recall,
        "share of the top 10 % of the values that is among the top 10 % of the predictions",
    ),
}
PROTEINGYM_VALUES = {name: RANKING[name] for name in ("spearman", "ndcg", "top_recall")}
PROTEINGYM_CLASSES: dict[str, tuple[Function, str]] = {
    "auc": (auroc, "area under the ROC curve for the binary labels"),
    "mcc": (
        median_mcc,
        "Matthews correlation of the binary labels with predictions at or above their median",
    ),
}
