"""A split: which rows of an assay belong to which part."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

PARTS = ("train", "validation", "test")


class Round(NamedTuple):
    """Hold one training: sorted numbers of the sequences of an assay, without overlap."""

    train: np.ndarray
    validation: np.ndarray  # may be empty
    test: np.ndarray


@dataclass(frozen=True)
class Split:
    """Hold parts, as sorted numbers (0 .. N - 1, not input rows) of the sequences of an assay.

    Without folds the parts are train, validation and test; with folds, part k is the test part of round k, and
    `rounds` divides the rest. A sequence may be in no part (see `notes`).
    """

    method: str
    parts: list[np.ndarray]
    names: tuple[str, ...] = PARTS
    validation: list[np.ndarray] = field(default_factory=list)
    """with folds, the validation part of every round"""
    notes: list[str] = field(default_factory=list)
    groups: np.ndarray | None = None
    """(N,) int64 what must stay together, where the method has groups"""
    threshold: float | None = None
    """of cluster alone: no two clusters hold a pair as similar"""

    @property
    def folds(self) -> int:
        """Return the number of folds, 0 for one division into train, validation and test."""
        return 0 if self.names == PARTS else len(self.parts)

    def rounds(self) -> Iterator[Round]:
        """Yield the trainings: one, or one per fold."""
        if not self.folds:
            yield Round(*self.parts)
            return
        for number, test in enumerate(self.parts):
            held = self.validation[number]
            others = np.concatenate([part for part in self.parts if part is not test])
            yield Round(np.setdiff1d(others, held), held, test)

    def part_of(self, count: int) -> list[str]:
        """Return the name of the part of each of `count` sequences, "" for none."""
        found = [""] * count
        for name, part in zip(self.names, self.parts, strict=True):
            for number in part.tolist():
                found[number] = name
        return found
