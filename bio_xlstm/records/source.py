"""The door to every input file: `open_records`."""

import os
from collections.abc import Iterator
from functools import cached_property

from bio_xlstm.errors import ConfigError
from bio_xlstm.records.detect import find_kind
from bio_xlstm.records.formats import KINDS, find_format
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.reader import read_records
from bio_xlstm.records.record import Record


class RecordSource:
    """A file of sequences that can be read any number of times, one record after the other.

    `path` is the path as given ("-" for standard input), `name` how messages call it, `raw` its bytes.
    """

    def __init__(
        self, raw: RawFile, path: str, form: str | None, kind: str | None, column: str | None
    ) -> None:
        self.path = path
        self.name = raw.name
        self.column = column
        self.raw = raw
        self._form = form
        self._kind = kind

    @cached_property
    def kind(self) -> str:
        """Return "dna", "protein" or "smiles": the kind asked for, else the one that the input shows."""
        return self._kind or find_kind(self.raw, self._form, self.column)

    @cached_property
    def format(self) -> str:
        """Return the name of the format; only plain lines need the kind for it."""
        return self._form or ("smiles" if self.kind == "smiles" else "lines")

    def __iter__(self) -> Iterator[Record]:
        """Yield the records from the start of the file; raise InputError when there is none."""
        yield from read_records(self.raw, self.format, kind=self._kind, column=self.column)

    def with_kind(self, kind: str) -> "RecordSource":
        """Return the same input, not read from its origin again, as one of `kind`."""
        return RecordSource(self.raw, self.path, self._form, kind, self.column)

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the input's bytes as they are stored."""
        return self.raw.fingerprint()


def open_records(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    column: str | None = None,
    input_format: str | None = None,
) -> RecordSource:
    """Open a file of DNA, RNA, proteins or molecules for streaming.

    `path` may be "-" (standard input), a pipe, and compressed (.gz, .xz, .bz2, told by content). The format follows
    from the suffix, else from the content, unless `input_format` names one of `FORMATS`. `kind` and `column`
    choose the column of a table. Raise InputError, naming file and line, for what cannot be read, here or
    while reading.

    >>> source = open_records("examples/proteins.fasta")        # doctest: +SKIP
    >>> [record.id for record in source], source.kind           # doctest: +SKIP
    """
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"unknown kind {kind!r}; known are {', '.join(KINDS)}")
    raw = RawFile(path)
    return RecordSource(raw, os.fspath(path), find_format(raw, input_format), kind, column)
