"""The interface of all baselines."""

from collections.abc import Sequence
from typing import Any, Protocol, Self

from bio_xlstm.tasks.assay.task import Task


class Baseline(Protocol):
    """Learn from sequences and values, predict for others.

    Values are (N, T), NaN where missing; for per_token a list of N arrays (L,). Predictions are as `Task` says.
    """

    name: str
    """short, for tables: mean, length, one-hot linear, ..."""
    words: str
    """what it is, in one sentence"""

    def fit(self, sequences: Sequence[str], values: Any, task: Task, seed: int = 0) -> Self:
        """Learn; penalties are chosen by cross-validation inside the sequences given."""

    def predict(self, sequences: Sequence[str]) -> Any:
        """Predict for M sequences."""
