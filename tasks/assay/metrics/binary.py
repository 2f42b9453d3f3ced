"""Metrics of probabilities, or scores, of the second of two classes."""

import numpy as np

from bio_xlstm.tasks.assay.metrics.regression import NAN, Function

BINS = 10
CUT = 0.5
# a probability of 0 for what happens would cost infinitely much
LEAST = 1e-7


def auroc(classes: np.ndarray, scores: np.ndarray) -> float:
    """Return the chance that a positive has a higher score than a negative, ties counting half; NaN for one class."""
    from scipy.stats import rankdata

    positive = classes == 1
    ones = int(positive.sum())
    zeros = len(classes) - ones
    if not ones or not zeros:
        return NAN
    return float((rankdata(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def auprc(classes: np.ndarray, scores: np.ndarray) -> float:
    """Return the average precision: precision at every threshold, weighed by what recall gains there."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(classes[order])
    if not len(hits) or not hits[-1]:
        return NAN
    # equal scores share one threshold
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    gained = np.diff(hits[ends], prepend=0)
    return float((hits[ends] / (ends + 1)) @ gained / hits[-1])


def delta_auprc(classes: np.ndarray, scores: np.ndarray) -> float:
    """Return the average precision less the share of positives, which chance would reach."""
    return auprc(classes, scores) - float(classes.mean())


def mcc(classes: np.ndarray, decided: np.ndarray) -> float:
    """Return the Matthews correlation of two rows of 0 and 1; 0 where a side has one class alone."""
    tp, fp, fn, tn = confusion(classes, decided)
    bottom = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return float((tp * tn - fp * fn) / np.sqrt(bottom)) if bottom > 0 else 0.0


def f1(classes: np.ndarray, decided: np.ndarray) -> float:
    """Return the harmonic mean of precision and recall of the positives."""
    tp, fp, fn, _ = confusion(classes, decided)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else NAN


def balanced_accuracy(classes: np.ndarray, decided: np.ndarray) -> float:
    """Return the mean of the shares of positives and of negatives that are found; NaN for one class."""
    tp, fp, fn, tn = confusion(classes, decided)
    return (tp / (tp + fn) + tn / (tn + fp)) / 2 if tp + fn and tn + fp else NAN


def accuracy(classes: np.ndarray, decided: np.ndarray) -> float:
    """Return the share of right decisions."""
    return float(np.mean(classes == decided))


def brier(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the mean squared error of probabilities."""
    return float(np.mean((classes - chances) ** 2))


def log_loss(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the mean negative logarithm of the probability of what happened, in nats."""
    right = np.where(classes == 1, chances, 1 - chances)
    return float(-np.mean(np.log(np.clip(right, LEAST, 1))))


def ece(happened: np.ndarray, chances: np.ndarray) -> float:
    """Return the expected calibration error: the gap of probability and frequency, over 10 bins of equal width."""
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=happened - chances, minlength=BINS)
    return float(np.abs(gaps).sum() / len(chances))


def confusion(classes: np.ndarray, decided: np.ndarray) -> tuple[float, float, float, float]:
    """Count true positives, false positives, false negatives and true negatives."""
    tp = float(((classes == 1) & (decided == 1)).sum())
    fp = float(((classes == 0) & (decided == 1)).sum())
    fn = float(((classes == 1) & (decided == 0)).sum())
    return tp, fp, fn, len(classes) - tp - fp - fn


# of any score
SCORES: dict[str, tuple[Function, str]] = {
    "auroc": (auroc, "area under the ROC curve: chance that a positive is above a negative"),
    "auprc": (auprc, "average precision: area under the precision-recall curve, without interpolation"),
    "delta_auprc": (delta_auprc, "average precision less the share of positives"),
}
# of a decision: probability 0.5 or more is positive
DECISIONS: dict[str, tuple[Function, str]] = {
    "mcc": (mcc, "Matthews correlation; probability 0.5 or more counts as positive"),
    "f1": (f1, "harmonic mean of precision and recall of the positives, at 0.5"),
    "balanced_accuracy": (balanced_accuracy, "mean of sensitivity and specificity, at 0.5"),
    "accuracy": (accuracy, "share of right decisions, at 0.5"),
}
CHANCES: dict[str, tuple[Function, str]] = {
    "brier": (brier, "mean squared error of the probabilities"),
    "ece": (ece, "expected calibration error: |probability - frequency|, 10 bins of equal width"),
    "log_loss": (log_loss, "mean negative log-probability of what happened, in nats"),
}


def are_chances(scores: np.ndarray) -> bool:
    """Say whether scores could be probabilities."""
    return bool(len(scores)) and float(scores.min()) >= 0 and float(scores.max()) <= 1
