"""How far predictions can be trusted: intervals for numbers, probabilities that come true for classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from bio_xlstm.tasks.assay.calibration import Conformal, Isotonic, Temperature
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.finetune.answers import Answers, uncertainty

# rows without which a calibration would be noise
LEAST = 10

Ends = tuple[np.ndarray, np.ndarray]
"""lower and upper ends of intervals, (N, T) each"""


@dataclass(frozen=True)
class Trust:
    """Hold the calibration of a task; without one, answers stay as they are."""

    task: Task
    intervals_by: Conformal | None = None
    chances_by: Temperature | Isotonic | None = None

    @classmethod
    def fit(
        cls, task: Task, answers: Answers, values: np.ndarray, *, coverage: float, way: str = "temperature"
    ) -> Self:
        """Learn from answers for sequences that were not trained on, and their values (N, T)."""
        if task.name == "per_token" or len(values) < LEAST:
            return cls(task)
        predicted = np.asarray(answers.predicted)
        if task.numeric:
            # ranks have no unit that an interval could be in
            if task.name == "ranking":
                return cls(task)
            spread = uncertainty(task, answers)
            return cls(task, Conformal.fit(values, predicted, spread, coverage=coverage))
        classes = task.name == "multiclass"
        if way == "temperature":
            return cls(task, None, Temperature.fit(_logits(predicted, classes), values, classes=classes))
        if way == "isotonic":
            return cls(task, None, Isotonic.fit(predicted, values, classes=classes))
        return cls(task)

    def __call__(self, answers: Answers) -> Answers:
        """Return answers whose probabilities are calibrated."""
        if self.chances_by is None or not len(answers.predicted):
            return answers
        predicted, classes = np.asarray(answers.predicted), self.task.name == "multiclass"
        if isinstance(self.chances_by, Temperature):
            logits = _logits(predicted, classes)
            return answers._replace(predicted=self.chances_by.probabilities(logits, classes=classes))
        return answers._replace(predicted=self.chances_by.probabilities(predicted))

    def interval(self, answers: Answers) -> Ends | None:
        """Return lower and upper ends (N, T) that hold the value with the chosen probability; None for classes."""
        if self.intervals_by is None:
            return None
        spread = uncertainty(self.task, answers) if self.intervals_by.normalised else None
        return self.intervals_by.intervals(np.asarray(answers.predicted), spread)

    def to_record(self) -> dict[str, Any]:
        """Describe the calibration as plain data."""
        found: dict[str, Any] = {}
        if self.intervals_by is not None:
            found["intervals"] = self.intervals_by.to_record()
        if self.chances_by is not None:
            found["probabilities"] = self.chances_by.to_record()
        return found

    @classmethod
    def from_record(cls, task: Task, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` wrote."""
        intervals, chances = record.get("intervals"), record.get("probabilities")
        kinds: dict[str, type[Temperature | Isotonic]] = {"temperature": Temperature, "isotonic": Isotonic}
        return cls(
            task,
            None if intervals is None else Conformal.from_record(intervals),
            None if chances is None else kinds[chances["method"]].from_record(chances),
        )


def _logits(shares: np.ndarray, classes: bool) -> np.ndarray:
    """Turn probabilities back into logits."""
    safe = np.clip(shares, 1e-7, 1 - 1e-7)
    found: np.ndarray = np.log(safe) if classes else np.log(safe) - np.log1p(-safe)
    return found
