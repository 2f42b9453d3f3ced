"""The result of a run as the writers see it: a description, and parts that are read one at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from bio_xlstm.tasks.provenance import Provenance, decode
from bio_xlstm.tasks.writers.part import Part


@dataclass(frozen=True)
class Column:
    """Name one column of vectors: the layer, the layer as the user wrote it, the pool and the width."""

    layer: int
    written: str
    pool: str
    width: int

    def name(self, stem: str, alone: bool) -> str:
        """Return the column's name in a file: the bare stem when it is the only one."""
        return stem if alone else f"{stem}__{self.key}"

    @property
    def key(self) -> str:
        """Return the key of the column in a part, `L-1__mean` for instance."""
        return f"L{self.written}__{self.pool}"


class RowResult(ABC):
    """Describe finished rows; iterating over it reads the parts one by one, as often as needed."""

    noun: ClassVar[str]
    """What a good row has, with its article: "an embedding"."""

    provenance: Provenance
    facts: Mapping[str, int]  # sums over all parts
    read_parts: Callable[[], Iterator[Part]]

    @property
    @abstractmethod
    def content(self) -> str:
        """Say what stands in every row: "one vector per row of 16 numbers (fp32)"."""

    def __iter__(self) -> Iterator[Part]:
        return self.read_parts()

    def record(self) -> str:
        """Return the provenance with the counts of rows, as JSON."""
        counts = {name: self.facts[name] for name in ("rows", "failed", "issues")}
        return self.provenance.to_json(**counts)


@dataclass(frozen=True)
class Result(RowResult):
    """Describe vectors and everything else that a writer of them needs."""

    noun: ClassVar[str] = "an embedding"

    columns: tuple[Column, ...]
    store: str  # one of choices.STORE_DTYPES
    per_token: bool
    provenance: Provenance
    facts: Mapping[str, int]
    read_parts: Callable[[], Iterator[Part]]

    @property
    def content(self) -> str:
        """Say what stands in every row."""
        width = " or ".join(map(str, sorted({column.width for column in self.columns})))
        count = "one vector" if len(self.columns) == 1 else f"{len(self.columns)} vectors"
        return f"{count} per {'token' if self.per_token else 'row'} of {width} numbers ({self.store})"

    def name(self, column: Column, stem: str) -> str:
        """Return the name of a column in a file."""
        return column.name(stem, alone=len(self.columns) == 1)


class PartWriter(Protocol):
    """Write parts one after the other."""

    def add(self, part: Part) -> None:
        """Write the rows of a part."""


@dataclass(frozen=True)
class Format:
    """Describe one output format and how to write it, read its provenance and tell a user how to load it."""

    name: str
    suffixes: tuple[str, ...]
    write: Callable[[Any, Path], None]
    read_record: Callable[[Path], dict[str, Any] | None]
    load_hint: Callable[[str, Any], str]
    pooled: bool = True
    per_token: bool = False
    several: bool = True  # can hold several layers or pools
    folder: bool = False
    needs: str | None = None  # a package outside the core, with its extra: ("h5py", "h5")


def beside_record(path: Path) -> Path:
    """Return the file that carries the provenance of formats without a place for it."""
    return path.with_name(path.name + ".provenance.json")


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a provenance record from a JSON file; None when there is none."""
    try:
        return decode(path.read_bytes())
    except OSError:
        return None
