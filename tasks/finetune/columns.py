"""Predictions as columns of a table, named for people."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.assay.domain import Domain
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.finetune.answers import Answers, uncertainty
from bio_xlstm.tasks.finetune.trust import Ends, Trust

Cells = list[str]
# digits of predictions: values may differ little from each other, probabilities little from 1
_VALUE, _CHANCE = 12, 9


class Numbers(NamedTuple):
    """Hold everything that is said of N sequences; what a task has none of has no columns (N, 0)."""

    predicted: np.ndarray  # (N, O); of letters: their classes (sum of lengths,)
    low: np.ndarray  # (N, T)
    high: np.ndarray  # (N, T)
    uncertainty: np.ndarray  # (N, T)
    similarity: np.ndarray  # (N,)
    counts: np.ndarray  # (N,) letters of every sequence, 0 unless they are what is predicted


def numbers_of(
    task: Task, answers: Answers, ends: Ends | None, domain: Domain, sequences: Sequence[str]
) -> Numbers:
    """Put together what is said of sequences; `answers` are calibrated, `ends` those of their intervals."""
    count = len(sequences)
    none = np.zeros((count, 0))
    low, high = ends or (none, none)
    spread = uncertainty(task, answers)
    counts = np.zeros(count, np.int64)
    predicted = answers.predicted
    if isinstance(predicted, list):
        counts = np.array([len(one) for one in predicted], np.int64)
        predicted = np.concatenate([*(one.argmax(-1) for one in predicted), np.zeros(0, np.int64)])
    similarity = domain.nearest(sequences)[0] if count else np.zeros(0)
    return Numbers(
        np.asarray(predicted), low, high, none if spread is None else spread, similarity.astype(float), counts
    )


def column_names(task: Task, trust: Trust, *, uncertain: bool) -> list[str]:
    """Name the columns in their order."""
    names: list[str] = []
    for target in task.targets:
        if task.name != "multilabel":
            names.append(f"predicted_{target}")
        if trust.intervals_by is not None:
            names += [f"lower_{target}", f"upper_{target}"]
        if task.name in ("binary", "multilabel"):
            names.append(f"probability_{target}")
        if task.name == "multiclass":
            names += [f"probability_{name}" for name in task.classes]
        if uncertain:
            names.append(f"uncertainty_{target}")
    return [*names, "similarity", "in_domain"]


def is_uncertain(task: Task, numbers: Numbers) -> bool:
    """Tell whether there are uncertainties."""
    return bool(numbers.uncertainty.shape[1])


def write_cells(task: Task, numbers: Numbers, threshold: float) -> list[Cells]:
    """Write the cells of every row, in the order of `column_names`; what is no number is empty."""
    letters = (
        np.split(numbers.predicted, np.cumsum(numbers.counts)[:-1]) if task.name == "per_token" else None
    )
    rows = []
    for place in range(len(numbers.similarity)):
        cells: Cells = []
        for target in range(len(task.targets)):
            own = letters[place] if letters is not None else numbers.predicted[place]
            cells += _target_cells(task, numbers, own, place, target)
        similar = float(numbers.similarity[place])
        inside = "" if np.isnan(similar) else "yes" if similar >= threshold else "no"
        rows.append([*cells, number(similar), inside])
    return rows


def _target_cells(task: Task, numbers: Numbers, own: np.ndarray, place: int, target: int) -> Cells:
    """Write the cells of one target of a row."""
    cells: Cells = []
    if task.numeric:
        cells.append(predicted_number(task, own[target]))
    elif task.name == "binary":
        cells.append("" if np.isnan(own[0]) else task.classes[int(own[0] >= 0.5)])
    elif task.name == "multiclass":
        cells.append("" if np.isnan(own).any() else task.classes[int(own.argmax())])
    elif task.name == "per_token":
        names = [task.classes[int(one)] for one in own]
        cells.append(("" if all(len(name) == 1 for name in task.classes) else " ").join(names))
    if numbers.low.shape[1]:
        cells += [predicted_number(task, end[place, target]) for end in (numbers.low, numbers.high)]
    if task.name in ("binary", "multilabel"):
        cells.append(predicted_number(task, own[target]))
    if task.name == "multiclass":
        cells += [predicted_number(task, share) for share in own]
    if numbers.uncertainty.shape[1]:
        cells.append(number(numbers.uncertainty[place, target]))
    return cells


def predicted_number(task: Task, value: float) -> str:
    """Write a prediction with so many digits that no two become equal that a metric tells apart."""
    return number(value, _VALUE if task.numeric else _CHANCE)


def number(value: float, digits: int = 6) -> str:
    """Write a number with so many digits; nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.{digits}g}"
