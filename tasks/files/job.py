"""A job: everything that a command which turns a file of records into a file of rows settles before it computes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TextIO

import numpy as np

from bio_xlstm.records import Record
from bio_xlstm.tasks.files.prepare import Preparation, Ready
from bio_xlstm.tasks.files.request import FileRequest
from bio_xlstm.tasks.files.units import Survey, cut_units, selected, survey, unit_tokens
from bio_xlstm.tasks.files.worker import Worker
from bio_xlstm.tasks.finished import finished_record
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import Format, PartWriter, RowResult

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

# of a row in a part or a file: status and the rest, without the id
ROW_BYTES = 64


class Source(Protocol):
    """Yield the records of an input, any number of times."""

    @property
    def name(self) -> str:
        """Return how messages call the input."""

    def __iter__(self) -> Iterator[Record]:
        """Yield the records from the start."""

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the input's bytes."""


@dataclass(frozen=True, kw_only=True)
class FileJob(ABC):
    """Hold what is settled before the first record is computed; a command adds what it computes and writes."""

    smaller: ClassVar[str]
    """What needs less room on the disk, in words."""

    request: FileRequest
    source: Source
    worker: Worker[Any]
    preparation: Preparation
    form: Format
    provenance: Provenance

    @abstractmethod
    def compute(self, ready: Sequence[Ready]) -> Part:
        """Compute the rows of one unit."""

    @abstractmethod
    def result(
        self,
        provenance: Provenance,
        facts: Mapping[str, int],
        read_parts: Callable[[], Iterable[Part]],
    ) -> RowResult:
        """Describe finished parts for the writers."""

    @abstractmethod
    def table(self, stream: TextIO) -> PartWriter:
        """Begin a table on standard output."""

    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Estimate the bytes of the output, and of the parts that lie beside it until it is complete."""

    @abstractmethod
    def planned(self) -> str:
        """Say what the output will hold: "1,000 rows of 192 numbers"."""

    def conclude(self) -> tuple[str, ...]:
        """Make what a command adds to a complete output, whenever it was completed; return lines about it."""
        return ()

    @property
    def model(self) -> "SequenceModel":
        """Return the model."""
        return self.worker.model

    def example(self, length: int) -> np.ndarray:
        """Return a sequence of token ids (length,) that takes as long as any other of this length."""
        tokenizer = self.model.tokenizer
        return np.resize(np.flatnonzero(tokenizer.targets).astype(tokenizer.dtype), length)

    def records(self) -> Iterator[Record]:
        """Yield the records of this run: all, or those of its limit and shard."""
        return selected(self.source, self.request.limit, self.request.shard)

    def units(self) -> Iterator[list[Record]]:
        """Yield the units of work."""
        return cut_units(self.records(), unit_tokens(self.worker.batch_tokens, self.request.per_token))

    @cached_property
    def survey(self) -> Survey:
        """Count the records of this run; reads the input once."""
        return survey(self.records())

    def finished(self) -> Mapping[str, Any] | None:
        """Return the record of the output where it is complete; OutputError where it may not be replaced."""
        output, read = Path(self.request.output), self.form.read_record
        return finished_record(output, self.provenance, read, self.request.overwrite, folder=self.form.folder)
