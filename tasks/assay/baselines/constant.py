"""The baseline that does not look at sequences: the mean, or the share of every class."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from bio_xlstm.tasks.assay.task import Task


class Constant:
    """Predict the mean of the training values, or the shares of the classes, for everything."""

    def __init__(self) -> None:
        self.name = "mean"
        self.words = "the mean of the training values, or the shares of the classes"
        self._answer = np.zeros(0)

    def fit(self, sequences: Sequence[str], values: np.ndarray, task: Task, seed: int = 0) -> Self:
        """Take the mean of the values (N, T)."""
        self._answer = constant_answer(values, task)
        return self

    def predict(self, sequences: Sequence[str]) -> np.ndarray:
        """Repeat it."""
        return np.tile(self._answer, (len(sequences), 1))


def constant_answer(values: np.ndarray, task: Task) -> np.ndarray:
    """Return the mean of every target (T,), or the share of every class (C,) for multiclass; NaN without values."""
    if task.name == "multiclass":
        known = values[~np.isnan(values[:, 0]), 0].astype(int)
        return np.bincount(known, minlength=len(task.classes)) / max(len(known), 1)
    known = ~np.isnan(values)
    counts = known.sum(0)
    return np.where(counts > 0, np.where(known, values, 0).sum(0) / np.maximum(counts, 1), np.nan)
