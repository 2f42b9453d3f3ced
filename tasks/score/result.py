"""Scores as their writers see them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import RowResult


@dataclass(frozen=True)
class ScoreResult(RowResult):
    """Describe scores and everything else that a writer of them needs."""

    noun: ClassVar[str] = "a score"

    names: tuple[str, ...]
    """Numbers of a row."""
    symbols: tuple[str, ...]
    """Text of every token id."""
    per_token: bool
    provenance: Provenance
    facts: Mapping[str, int]
    read_parts: Callable[[], Iterator[Part]]

    @property
    def content(self) -> str:
        """Say what stands in every row."""
        return "log p of every token in nats" if self.per_token else f"{', '.join(self.names)} (nats)"
