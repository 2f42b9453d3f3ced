"""Predictions as their writers see them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.predict.input_columns import InputColumns
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
    task: Task
    threshold: float
    """similarity below which a row is outside of the domain"""

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
