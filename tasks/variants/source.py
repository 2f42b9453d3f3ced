"""What every input of variants is: records whose fields are the columns of the output."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from bio_xlstm.records import Record, RecordSource


@dataclass(frozen=True)
class VariantSource(ABC):
    """Yield one record per variant, any number of times; `file` is where they come from."""

    file: RecordSource

    @property
    def name(self) -> str:
        """Return how messages call the input."""
        return self.file.name

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the columns that every record has in its fields."""

    @abstractmethod
    def __iter__(self) -> Iterator[Record]:
        """Yield the variants from the start of the file."""

    @abstractmethod
    def letters(self, record: Record) -> int:
        """Return about how many letters a variant makes a model read."""

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the input's bytes."""
        return self.file.fingerprint()
