"""Predictions as their writers see them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from bio_xlstm.tasks.predict.input_columns import InputColumns, free_names
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import RowResult


@dataclass(frozen=True)
class Header:
    """Name the columns of the output: those of the input, then what is predicted, then what became of the row."""

    columns: InputColumns
    predicted: tuple[str, ...]
    """names of what is predicted, as `finetune.columns` orders them, none of which the input has"""
    texts: frozenset[int]
    """which of them hold text"""
    status: tuple[str, str]
    write: Callable[[Part], list[list[str]]]
    """makes the cells of what is predicted, one list per row of a part"""
    letters: bool = False
    """whether every letter has a prediction"""

    @classmethod
    def of(
        cls,
        columns: InputColumns,
        wanted: Sequence[str],
        *,
        texts: Sequence[str],
        write: Callable[[Part], list[list[str]]],
        letters: bool = False,
        say: Callable[[str], None],
    ) -> "Header":
        """Name new columns as wanted; those that the input has already get a number, which is said."""
        free = free_names([*wanted, "status", "detail"], columns.names)
        renamed = [f"{old} is written as {new}" for old, new in zip(wanted, free, strict=False) if old != new]
        if renamed:
            say(f"{columns.source.name} has columns of these names: {', '.join(renamed)}")
        places = frozenset(place for place, name in enumerate(wanted) if name in texts)
        return cls(columns, tuple(free[:-2]), places, (free[-2], free[-1]), write, letters)

    @property
    def names(self) -> list[str]:
        """Return all names in their order."""
        return [*self.columns.names, *self.predicted, *self.status]


@dataclass(frozen=True)
class PredictResult(RowResult):
    """Describe predictions and everything else that a writer of them needs."""

    noun: ClassVar[str] = "a prediction"

    header: Header
    provenance: Provenance
    facts: Mapping[str, int]
    read_parts: Callable[[], Iterator[Part]]

    @property
    def content(self) -> str:
        """Say what stands in every row."""
        return ", ".join(self.header.predicted[:6]) + (", ..." if len(self.header.predicted) > 6 else "")
