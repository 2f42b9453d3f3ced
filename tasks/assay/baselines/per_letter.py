"""The baselines of tasks with one label per letter."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from bio_xlstm.tasks.assay.task import Task


class PerLetter:
    """Predict how often each class was seen at a letter with these neighbours; `reach` neighbours on each side."""

    def __init__(self, reach: int) -> None:
        self.name = "letter" if reach else "mean"
        self.words = (
            "the shares of the classes at each letter, with its neighbours"
            if reach
            else "the shares of the classes"
        )
        self.reach = reach
        self._seen: dict[str, np.ndarray] = {}

    def fit(self, sequences: Sequence[str], values: Sequence[np.ndarray], task: Task, seed: int = 0) -> Self:
        """Count classes (L,), -1 where missing, of N sequences."""
        count = len(task.classes)
        seen: dict[str, np.ndarray] = {}
        total = np.zeros(count)
        for text, classes in zip(sequences, values, strict=True):
            for around, label in zip(self._around(text), np.asarray(classes).tolist(), strict=True):
                if label >= 0:
                    seen.setdefault(around, np.zeros(count))[label] += 1
                    total[label] += 1
        self._share = total / max(total.sum(), 1)
        # few sightings say little: they are mixed with the shares of all
        self._seen = {around: (found + self._share) / (found.sum() + 1) for around, found in seen.items()}
        return self

    def predict(self, sequences: Sequence[str]) -> list[np.ndarray]:
        """Return the probabilities (L, C) of every sequence."""
        return [
            np.stack([self._seen.get(around, self._share) for around in self._around(text)])
            for text in sequences
        ]

    def _around(self, text: str) -> list[str]:
        if not self.reach:
            return [""] * len(text)
        framed = "^" * self.reach + text + "$" * self.reach
        return [framed[place : place + 2 * self.reach + 1] for place in range(len(text))]
