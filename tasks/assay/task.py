"""What a model of an assay has to predict."""

from dataclasses import dataclass

from bio_xlstm.tasks.choices import check_choice

TASKS = ("regression", "binary", "multiclass", "multilabel", "ranking", "per_token")
# tasks whose values are measured numbers
NUMERIC = ("regression", "ranking")


@dataclass(frozen=True)
class Task:
    """Name a task, its T targets and its C classes.

    Predictions of N sequences are numbers (N, T) for regression and ranking, the probability (N, 1) of the second
    class for binary, probabilities (N, C) for multiclass and (N, T) for multilabel; for per_token a list of N arrays
    (L, C), one row per letter.
    """

    name: str
    targets: tuple[str, ...]
    classes: tuple[str, ...] = ()
    """names of the classes, in the order of their numbers; the second of a binary task is the positive one"""

    def __post_init__(self) -> None:
        """Refuse a name that is no task."""
        check_choice("task", self.name, TASKS)

    @property
    def numeric(self) -> bool:
        """Say whether values are measured numbers rather than classes."""
        return self.name in NUMERIC

    @property
    def outputs(self) -> int:
        """Return how many numbers a model gives for one sequence, or for one letter of it."""
        return len(self.classes) if self.name in ("multiclass", "per_token") else len(self.targets)
