"""The baselines of tasks with one label per letter."""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np

from bio_xlstm.tasks.assay.task import Task


class PerLetter:
    """Predict how often each class was seen at a letter with these neighbours; `reach` neighbours on each side.

    What was seen with all neighbours is mixed with what was seen with fewer, down to the letter alone and to the shares
    of all, each of which counts as one sighting: few sightings say little.
    """

    def __init__(self, reach: int) -> None:
        self.name = "letter" if reach else "mean"
        self.words = (
            "the shares of the classes at each letter, with its neighbours"
            if reach
            else "the shares of the classes"
        )
        self.reach = reach
        self._known: dict[str, np.ndarray] = {}

    def fit(self, sequences: Sequence[str], values: Sequence[np.ndarray], task: Task, seed: int = 0) -> Self:
        """Count classes (L,), -1 where missing, of N sequences."""
        count = len(task.classes)
        seen: dict[str, np.ndarray] = {}
        for text, classes in zip(sequences, values, strict=True):
            for around, label in zip(self._around(text), np.asarray(classes).tolist(), strict=True):
                if label >= 0:
                    seen.setdefault(around, np.zeros(count))[label] += 1
        total = sum(seen.values(), np.zeros(count))
        self._share = total / max(total.sum(), 1)
        self._seen = dict(seen)
        for around, found in seen.items():
            for fewer in _inner(around):
                self._seen[fewer] = self._seen.get(fewer, 0) + found
        self._known = {}
        return self

    def predict(self, sequences: Sequence[str]) -> list[np.ndarray]:
        """Return the probabilities (L, C) of every sequence."""
        return [np.stack([self._chances(around) for around in self._around(text)]) for text in sequences]

    def _chances(self, around: str) -> np.ndarray:
        """Return the probabilities (C,) of the letter in the middle."""
        if not self.reach:
            return self._share
        if around not in self._known:
            chances = self._share
            for neighbours in (*reversed(list(_inner(around))), around):
                if neighbours in self._seen:
                    found = self._seen[neighbours]
                    chances = (found + chances) / (found.sum() + 1)
            self._known[around] = chances
        return self._known[around]

    def _around(self, text: str) -> list[str]:
        if not self.reach:
            return [""] * len(text)
        framed = "^" * self.reach + text + "$" * self.reach
        return [framed[place : place + 2 * self.reach + 1] for place in range(len(text))]


def _inner(around: str) -> Iterator[str]:
    """Yield a letter with fewer and fewer neighbours, at last alone."""
    while len(around) > 1:
        around = around[1:-1]
        yield around
