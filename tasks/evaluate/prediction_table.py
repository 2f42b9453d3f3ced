"""A file of predictions as numbers and classes, row by row."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.tasks.assay.cells import is_missing, is_number, number
from bio_xlstm.tasks.assay.labels import read_classes
from bio_xlstm.tasks.assay.reading import read_cells
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.evaluate.prediction_columns import Chosen, choose, column
from bio_xlstm.tasks.evaluate.prediction_request import PredictionRequest


@dataclass(frozen=True)
class Predictions:
    """Hold N rows that have something measured and something predicted."""

    source: str
    chosen: Chosen
    task: Task
    values: np.ndarray  # (N, T)
    predicted: np.ndarray  # (N, T) or (N, C)
    labels: np.ndarray  # (N,) of proteingym, else empty
    groups: np.ndarray  # (N,) int64, 0 without --by
    group_names: list[str]
    ends: tuple[np.ndarray, np.ndarray] | None  # of intervals, (N, 1) each
    rows: int
    """rows that were asked for, before those without value or prediction are left out"""
    decided: bool = False
    """predictions are classes, not probabilities"""
    notes: list[str] = field(default_factory=list)


def read_predictions(request: PredictionRequest) -> Predictions:
    """Read a file; raise InputError that names the row and column of what cannot be read."""
    source, columns = read_cells(request.predictions)
    chosen = choose(columns, request, source)
    rows = _asked(columns, request, source)
    cells = {name: [all_[row] for row in rows.tolist()] for name, all_ in columns.items()}
    notes: list[str] = []
    if request.goal == "classification":
        task, values, predicted, decided = _classes(cells, chosen, rows, request, source, notes)
    else:
        task, decided = Task("regression", tuple(chosen.truth)), False
        values, predicted = (
            _numbers(cells, names, rows, source) for names in (chosen.truth, chosen.prediction)
        )
    labels = np.zeros(0)
    if request.goal == "proteingym":
        labels = _labels(cells, chosen, values, rows, source, notes)
    known = ~np.isnan(values).all(1) & ~np.isnan(predicted).all(1)
    if len(labels):
        known &= ~np.isnan(labels)
    if known.sum() < 2:
        raise InputError(
            f"{source}: {known.sum()} of {len(rows)} rows have a measured value and a prediction; at least 2 are needed"
        )
    names = [cell.strip() for cell in cells[chosen.by]] if chosen.by else [""] * len(rows)
    group_names = sorted({name for name, kept in zip(names, known.tolist(), strict=True) if kept})
    groups = np.array([group_names.index(name) if name in group_names else -1 for name in names])
    ends = None
    if chosen.lower and chosen.upper and request.goal == "regression":
        low, high = (_numbers(cells, [name], rows, source)[known] for name in (chosen.lower, chosen.upper))
        ends = low, high
    return Predictions(
        source, chosen, task, values[known], predicted[known], labels[known] if len(labels) else labels,
        groups[known], group_names, ends, len(rows), decided, notes,
    )  # fmt: skip


def _asked(columns: dict[str, list[str]], request: PredictionRequest, source: str) -> np.ndarray:
    """Return the numbers of the rows that --where asks for."""
    kept = np.ones(len(next(iter(columns.values()))), bool)
    for name, value in request.conditions:
        cells = columns[column(columns, name, source)]
        kept &= np.array([cell.strip() == value for cell in cells])
        if not kept.any():
            some = ", ".join(sorted({cell.strip() for cell in cells})[:5])
            raise InputError(f"{source}: no row has {value!r} in column {name!r}; it holds {some}")
    return np.flatnonzero(kept)


def _numbers(cells: dict[str, list[str]], names: Sequence[str], rows: np.ndarray, source: str) -> np.ndarray:
    """Read columns as numbers (N, T), NaN where empty."""
    found = np.full((len(rows), len(names)), np.nan)
    for place, name in enumerate(names):
        for at, cell in enumerate(cells[name]):
            try:
                found[at, place] = number(cell)
            except ValueError as error:
                raise InputError(f"{source} row {rows[at]}: column {name!r}: {error}") from None
    return found


def _classes(
    cells: dict[str, list[str]],
    chosen: Chosen,
    rows: np.ndarray,
    request: PredictionRequest,
    source: str,
    notes: list[str],
) -> tuple[Task, np.ndarray, np.ndarray, bool]:
    """Read classes and what was predicted of them."""
    if len(chosen.truth) > 1:
        task = Task("multilabel", tuple(chosen.truth), ("0", "1"))
        values = _numbers(cells, chosen.truth, rows, source)
        wrong = np.argwhere(~np.isin(values, (0, 1)) & ~np.isnan(values))
        if len(wrong):
            at, place = wrong[0].tolist()
            name = chosen.truth[place]
            raise InputError(
                f"{source} row {rows[at]}: column {name!r}: {cells[name][at]!r} is neither 0 nor 1"
            )
        return task, values, _numbers(cells, chosen.prediction, rows, source), False
    truth = cells[chosen.truth[0]]
    decided = bool(chosen.prediction) and not _are_numbers(cells[chosen.prediction[0]], truth)
    # classes that were predicted but never measured are classes too
    both = [*truth, *(cells[chosen.prediction[0]] if decided else ())]
    count = len({cell.strip() for cell in both if not is_missing(cell)})
    read = read_classes({chosen.truth[0]: both}, "binary" if count <= 2 else "multiclass", source)
    task, values = _turned(read.task, read.values, request.positive, source)
    notes += read.notes if request.positive is None else []
    predicted, values = values[len(truth) :], values[: len(truth)]
    if task.name == "binary" and not decided and chosen.prediction:
        return task, values, _numbers(cells, chosen.prediction, rows, source), False
    if decided:
        chances = np.eye(len(task.classes))[np.nan_to_num(predicted[:, 0]).astype(int)]
        chances[np.isnan(predicted[:, 0])] = np.nan
    elif chosen.chances:
        written = {_plain(name): where for name, where in chosen.chances.items()}
        chances = _numbers(cells, [written[name] for name in task.classes], rows, source)
    else:
        raise InputError(
            f"{source}: column {chosen.truth[0]!r} has {count} classes, and one column of numbers cannot tell them "
            "apart; give the predicted class, or columns probability_CLASS"
        )
    return task, values, chances[:, 1:2] if task.name == "binary" else chances, decided


def _turned(task: Task, values: np.ndarray, positive: str | None, source: str) -> tuple[Task, np.ndarray]:
    """Make the class that the user names the positive one."""
    if positive is None:
        return task, values
    if task.name != "binary" or positive not in task.classes:
        raise ConfigError(
            f"{source}: --positive {positive} is not one of two classes: {', '.join(task.classes)}"
        )
    if task.classes[0] == positive:
        return Task("binary", task.targets, task.classes[::-1]), 1 - values
    return task, values


def _are_numbers(predicted: Sequence[str], truth: Sequence[str]) -> bool:
    """Say whether predictions are scores: numbers that are not all names of classes."""
    present = {cell.strip() for cell in predicted if not is_missing(cell)}
    if not all(map(is_number, present)):
        return False
    return not {_plain(cell) for cell in present} <= {_plain(cell) for cell in truth}


def _plain(cell: str) -> str:
    text = cell.strip()
    return f"{float(text):g}" if is_number(text) else text


def _labels(
    cells: dict[str, list[str]],
    chosen: Chosen,
    values: np.ndarray,
    rows: np.ndarray,
    source: str,
    notes: list[str],
) -> np.ndarray:
    """Return the binary labels (N,) of variants: a column of 0 and 1, else the upper half of the values."""
    if chosen.labels is not None:
        labels = _numbers(cells, [chosen.labels], rows, source)[:, 0]
        wrong = np.flatnonzero(~np.isin(labels, (0, 1)) & ~np.isnan(labels))
        if len(wrong):
            cell = cells[chosen.labels][wrong[0]]
            raise InputError(
                f"{source} row {rows[wrong[0]]}: column {chosen.labels!r}: {cell!r} is neither 0 nor 1"
            )
        return labels
    notes.append("there are no binary labels (DMS_score_bin, --labels): values above the median count as fit")
    names = np.array(cells[chosen.by]) if chosen.by else np.zeros(len(rows))
    labels = np.full(len(rows), np.nan)
    for name in np.unique(names):
        mine = (names == name) & ~np.isnan(values[:, 0])
        labels[mine] = values[mine, 0] > np.median(values[mine, 0]) if mine.any() else np.nan
    return labels
