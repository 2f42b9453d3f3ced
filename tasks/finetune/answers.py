"""What a model says of sequences: predictions in the form of their task, and how far they may be off."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.assay.task import Task

Predicted = np.ndarray | list[np.ndarray]


class Answers(NamedTuple):
    """Hold predictions of N sequences: shapes as `Task` says, and standard deviations (N, T) of numbers."""

    predicted: Predicted
    deviation: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Answers":
        """Pick sequences."""
        if isinstance(self.predicted, list):
            return Answers([self.predicted[row] for row in rows.tolist()])
        return Answers(self.predicted[rows], None if self.deviation is None else self.deviation[rows])


def blank(task: Task, count: int) -> Answers:
    """Return answers that say nothing, to be filled row by row."""
    if task.name == "per_token":
        return Answers([np.zeros((0, task.outputs), np.float32)] * count)
    shape = (count, task.outputs)
    return Answers(np.full(shape, np.nan), np.full(shape, np.nan) if task.numeric else None)


def blank_like(answers: Answers, count: int) -> Answers:
    """Return answers for so many sequences that say nothing, of the form of others (N, O)."""
    shape = (count, np.asarray(answers.predicted).shape[1])
    deviation = None if answers.deviation is None else np.full(shape, np.nan)
    return Answers(np.full(shape, np.nan), deviation)


def put(into: Answers, rows: np.ndarray, answers: Answers) -> None:
    """Write the answers of some rows."""
    if isinstance(into.predicted, list):
        for row, one in zip(rows.tolist(), answers.predicted, strict=True):
            into.predicted[row] = one
        return
    into.predicted[rows] = answers.predicted
    if into.deviation is not None and answers.deviation is not None:
        into.deviation[rows] = answers.deviation


def joined(answers: Sequence[Answers]) -> Answers:
    """Average what several models say; where they disagree, numbers are less certain.

    Their deviations are put together only where all of them have one.
    """
    first = answers[0].predicted
    if len(answers) == 1:
        return answers[0]
    if isinstance(first, list):
        return Answers([np.mean(several, 0) for several in zip(*(a.predicted for a in answers), strict=True)])
    every = np.stack([np.asarray(one.predicted) for one in answers])  # (K, N, O)
    deviations = [one.deviation for one in answers if one.deviation is not None]
    if len(deviations) < len(answers):
        return Answers(every.mean(0))
    variance = np.mean(np.square(deviations), 0) + every.var(0)
    return Answers(every.mean(0), np.sqrt(variance))


def uncertainty(task: Task, answers: Answers) -> np.ndarray | None:
    """Return one number per sequence and target: a standard deviation, or entropy in bits of classes (N, T)."""
    if task.numeric:
        known = answers.deviation is not None and np.isfinite(answers.deviation).any()
        return answers.deviation if known else None
    if isinstance(answers.predicted, list):
        return np.array([[_entropy(one).mean() if len(one) else np.nan] for one in answers.predicted])
    if task.name == "multiclass":
        return _entropy(answers.predicted)[:, None]
    shares = answers.predicted
    return _entropy(np.stack((shares, 1 - shares), -1))


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Return the entropy of the last axis in bits."""
    safe = np.clip(shares, 1e-12, 1)
    found: np.ndarray = -(safe * np.log2(safe)).sum(-1)
    return np.maximum(found, 0)
