"""Metrics of probabilities (N, C) of classes (N,)."""

from collections.abc import Callable

import numpy as np

from bio_xlstm.tasks.assay.metrics import binary
from bio_xlstm.tasks.assay.metrics.regression import NAN

Function = Callable[[np.ndarray, np.ndarray], float]


def accuracy(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the share of rows whose most probable class is theirs."""
    return float(np.mean(chances.argmax(1) == classes))


def balanced_accuracy(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the mean, over the classes that occur, of the share that is found."""
    table = confusion(classes, chances)
    present = table.sum(1) > 0
    return float(np.mean(np.diag(table)[present] / table.sum(1)[present]))


def macro_f1(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the mean F1 over the classes that occur or are predicted."""
    table = confusion(classes, chances)
    both = table.sum(0) + table.sum(1)
    return float(np.mean(2 * np.diag(table)[both > 0] / both[both > 0]))


def mcc(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the Matthews correlation for several classes (doi:10.1016/j.compbiolchem.2004.09.006), 0 for one alone."""
    table = confusion(classes, chances)
    total, right = table.sum(), np.trace(table)
    true, said = table.sum(1), table.sum(0)
    bottom = (total**2 - said @ said) * (total**2 - true @ true)
    return float((right * total - true @ said) / np.sqrt(bottom)) if bottom > 0 else 0.0


def macro_auroc(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the mean AUROC of each class against all others, over those that have both."""
    found = [
        binary.auroc((classes == place).astype(float), chances[:, place]) for place in range(chances.shape[1])
    ]
    known = [one for one in found if not np.isnan(one)]
    return float(np.mean(known)) if known else NAN


def log_loss(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the mean negative log-probability of the right class, in nats."""
    right = chances[np.arange(len(classes)), classes.astype(int)]
    return float(-np.mean(np.log(np.clip(right, binary.LEAST, 1))))


def brier(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the squared error of the probabilities, summed over classes, averaged over rows."""
    truth = np.eye(chances.shape[1])[classes.astype(int)]
    return float(np.mean(np.sum((truth - chances) ** 2, axis=1)))


def ece(classes: np.ndarray, chances: np.ndarray) -> float:
    """Return the expected calibration error of the most probable class."""
    return binary.ece((chances.argmax(1) == classes).astype(float), chances.max(1))


def confusion(classes: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Count rows by class and most probable class, (C, C)."""
    count = chances.shape[1]
    places = classes.astype(int) * count + chances.argmax(1)
    return np.bincount(places, minlength=count * count).reshape(count, count).astype(float)


MULTICLASS: dict[str, tuple[Function, str]] = {
    "accuracy": (accuracy, "share of rows whose most probable class is right"),
    "balanced_accuracy": (balanced_accuracy, "mean share found, over the classes that occur"),
    "macro_f1": (macro_f1, "mean F1 over the classes"),
    "mcc": (mcc, "Matthews correlation for several classes"),
    "macro_auroc": (macro_auroc, "mean AUROC of each class against the others"),
    "log_loss": (log_loss, "mean negative log-probability of the right class, in nats"),
    "brier": (brier, "squared error of the probabilities, summed over the classes"),
    "ece": (ece, "expected calibration error of the most probable class, 10 bins of equal width"),
}
