"""The files of a finished run, read back: what a report is made of."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.errors import ModelError
from bio_xlstm.tasks.assay.metrics.measure import MAIN
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.finetune.columns import column_names
from bio_xlstm.tasks.finetune.directory import read_about
from bio_xlstm.tasks.finetune.results import BASELINES, METRICS, PREDICTIONS
from bio_xlstm.tasks.finetune.trust import Trust

# row, part, sequence; status, detail
_BEFORE, _AFTER = 3, 2
# what a report tells of metrics.json
_NEEDED = (
    "kind", "model", "method", "test", "baselines", "learning_curve", "coverage", "calibration", "domain_threshold",
    "split", "leakage", "audit", "members", "seed", "settings",
)  # fmt: skip


class Unused(NamedTuple):
    """Hold a row of the input that could not be used."""

    row: int
    sequence: str
    status: str
    detail: str


@dataclass(frozen=True)
class RunFiles:
    """Hold the M used rows of an assay, what was measured and what is predicted, and everything found about it.

    Columns that a task has none of have width 0; of letters, and of panels too large for the files, so have `values`.
    """

    directory: Path
    about: Mapping[str, Any]
    metrics: Mapping[str, Any]
    task: Task
    rows: np.ndarray  # (M,) numbers in the input
    parts: list[str]
    sequences: list[str]
    values: np.ndarray  # (M, T) numbers, or numbers of classes; NaN where missing
    predicted: np.ndarray  # (M, O)
    low: np.ndarray  # (M, T)
    high: np.ndarray  # (M, T)
    uncertainty: np.ndarray  # (M, T)
    similarity: np.ndarray  # (M,)
    unused: list[Unused]
    baselines: dict[str, np.ndarray]  # (rows that were tested, O)

    @property
    def folds(self) -> bool:
        """Tell whether every row was tested by models that had not seen it."""
        return "test" not in self.metrics["split"]["sizes"]

    @cached_property
    def tested(self) -> np.ndarray:
        """Return which of the used rows were tested."""
        return np.array(
            [place for place, part in enumerate(self.parts) if part == "test" or (self.folds and part)],
            np.int64,
        )

    @property
    def main(self) -> str:
        """Return the metric by which models of the task are compared."""
        return MAIN[self.task.name]

    @property
    def outputs(self) -> Sequence[str]:
        """Name the columns of predictions."""
        return self.task.classes if self.task.name == "multiclass" else self.task.targets

    @property
    def has_rows(self) -> bool:
        """Tell whether single predictions can be shown beside measured values."""
        return bool(self.values.shape[1] and self.predicted.shape[1] and len(self.tested))

    def metric(self, name: str, among: Sequence[Mapping[str, Any]] | None = None) -> Mapping[str, Any] | None:
        """Return a metric of the test part that exists, of the model or `among` others."""
        found = self.metrics["test"] if among is None else among
        return next((one for one in found if one["metric"] == name and one["value"] is not None), None)


def read_run(directory: str | Path, about: Mapping[str, Any] | None = None) -> RunFiles:
    """Read a finished model directory; ModelError names the file that is missing or damaged.

    `about` stands for a finetune.json that is not written yet.
    """
    directory = Path(directory)
    about = read_about(directory) if about is None else about
    for name in (METRICS, PREDICTIONS):
        if not (directory / name).is_file():
            raise ModelError(f"{directory} is not a complete fine-tuned model: {name} is missing")
    name = METRICS
    try:
        metrics = json.loads((directory / METRICS).read_text(encoding="utf-8"))
        absent = [key for key in _NEEDED if key not in metrics]
        if absent:
            raise ValueError(f"it does not hold {', '.join(absent)}")
        task = Task(about["task"]["name"], tuple(about["task"]["targets"]), tuple(about["task"]["classes"]))
        name = PREDICTIONS
        return _read(directory, about, metrics, task, _table(directory / PREDICTIONS))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{directory / name} is damaged: {error}") from None


def _read(
    directory: Path, about: Mapping[str, Any], metrics: dict[str, Any], task: Task, table: list[list[str]]
) -> RunFiles:
    """Take the table apart by the places of its columns: names of the input may occur twice."""
    header, *lines = table
    used = [cells for cells in lines if cells[-_AFTER] in ("ok", "")]
    unused = [Unused(int(one[0]), one[2], *one[-_AFTER:]) for one in lines if one[-_AFTER] not in ("ok", "")]
    trust = Trust.from_record(task, about["calibration"])
    names, shown = _layout(task, trust, header)
    cells = np.array([one[_BEFORE:-_AFTER] for one in used], dtype=object).reshape(
        len(used), shown + len(names)
    )
    values, said = cells[:, :shown], cells[:, shown:]
    rows = np.array([int(one[0]) for one in used], np.int64)
    low, high, uncertainty = (
        _numbers(said, names, prefix) for prefix in ("lower_", "upper_", "uncertainty_")
    )
    run = RunFiles(
        directory, about, metrics, task, rows, [one[1] for one in used], [one[2] for one in used],
        _values(task, values), _predicted(task, said, names),
        low, high, uncertainty, _numbers(said, names, "similarity")[:, 0],
        unused, _baselines(directory, metrics, task),
    )  # fmt: skip
    if any(len(numbers) != len(run.tested) for numbers in run.baselines.values()):
        raise ValueError(f"{BASELINES} has other rows")
    return run


def _layout(task: Task, trust: Trust, header: Sequence[str]) -> tuple[list[str], int]:
    """Return what the columns of predictions begin with, and how many columns of values stand before them."""
    shown = len(task.targets) if tuple(header[_BEFORE : _BEFORE + len(task.targets)]) == task.targets else 0
    width = len(header) - _BEFORE - _AFTER - shown
    plain = Task(task.name, ("",) * len(task.targets), ("",) * len(task.classes))
    for uncertain in (True, False):
        names = column_names(plain, Trust(plain, trust.intervals_by), uncertain=uncertain)
        if len(names) == width:
            return names, shown
    raise ValueError(f"{width} columns of predictions do not belong to {task.name}")


def _numbers(cells: np.ndarray, names: Sequence[str], prefix: str) -> np.ndarray:
    """Return the columns that begin with a prefix."""
    places = [place for place, name in enumerate(names) if name == prefix]
    return np.array([[_number(cell) for cell in row] for row in cells[:, places]], float).reshape(
        len(cells), len(places)
    )


def _predicted(task: Task, cells: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return predictions as `Task` has them; nothing of letters."""
    if task.name == "per_token":
        return np.zeros((len(cells), 0))
    return _numbers(cells, names, "predicted_" if task.numeric else "probability_")


def _values(task: Task, cells: np.ndarray) -> np.ndarray:
    """Return measured numbers, or numbers of classes."""
    number_of = {name: float(place) for place, name in enumerate(task.classes)}
    read = _number if task.numeric else lambda cell: number_of[cell] if cell else np.nan
    return np.array([[read(cell) for cell in row] for row in cells], float).reshape(cells.shape)


def _baselines(directory: Path, metrics: Mapping[str, Any], task: Task) -> dict[str, np.ndarray]:
    """Return what simple models say of the test rows; nothing where that was not written."""
    if not metrics["baselines"] or not (directory / BASELINES).is_file():
        return {}
    lines = _table(directory / BASELINES)[1:]
    outputs = len(task.classes if task.name == "multiclass" else task.targets)
    numbers = np.array([[_number(cell) for cell in row[1:]] for row in lines], float)
    numbers = numbers.reshape(len(lines), len(metrics["baselines"]), outputs)
    return {name: numbers[:, place] for place, name in enumerate(metrics["baselines"])}


def _table(path: Path) -> list[list[str]]:
    # a sequence may be longer than what the reader takes for a mistake
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _number(cell: str) -> float:
    return float(cell) if cell else np.nan
