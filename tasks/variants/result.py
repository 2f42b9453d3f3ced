"""Ratios as their writers see them: parts, beside the rows of the input."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from bio_xlstm.records import Record
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.variants.source import VariantSource
from bio_xlstm.tasks.writers.part import Part, Row
from bio_xlstm.tasks.writers.result import RowResult

STATUS = ("status", "detail")


@dataclass(frozen=True)
class VariantResult(RowResult):
    """Describe ratios and everything else that a writer of them needs."""

    noun: ClassVar[str] = "a value"

    source: VariantSource
    names: tuple[str, ...]
    """Numbers of a row."""
    provenance: Provenance
    facts: Mapping[str, int]
    read_parts: Callable[[], Iterator[Part]]

    @property
    def content(self) -> str:
        """Say what stands in every row."""
        return f"{', '.join(self.names)} (nats)"

    def beside(self) -> Iterator[tuple[Part, list[Record]]]:
        """Yield every part with the records of its rows, which are read from the input again."""
        records = Beside(self.source)
        for part in self:
            yield part, [records.of(row) for row in part.rows]


class Beside:
    """Find the records of rows that come in the order of the input."""

    def __init__(self, source: VariantSource) -> None:
        self._records = iter(source)

    def of(self, row: Row) -> Record:
        """Return the record of a row; those in between have no row, or belong to another shard."""
        return next(record for record in self._records if record.row == row.row)


def own_names(columns: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the columns of numbers, status and detail are called: the input's names stay the input's.

    >>> own_names(("mutant", "status"), ("score",))
    ('score', 'status_2', 'detail')
    """
    found: list[str] = []
    for name in (*names, *STATUS):
        free, number = name, 2
        while free in (*columns, *found):
            free, number = f"{name}_{number}", number + 1
        found.append(free)
    return tuple(found)
