"""CSV and TSV: row, id, length, status, detail and one column per number; to a file or to standard output."""

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from bio_xlstm.tasks.journal import store_file
from bio_xlstm.tasks.writers.part import Part, Row
from bio_xlstm.tasks.writers.result import Column, Format, Result, RowResult, beside_record, read_json


class TableWriter:
    """Write parts as lines to a text stream; the header goes first."""

    def __init__(self, stream: IO[str], columns: Iterable[Column], separator: str = ",") -> None:
        self._columns = tuple(columns)
        self._writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        self._writer.writerow([*Row._fields, *self._number_names()])

    def add(self, part: Part) -> None:
        """Write the rows of a part; rows that are not good have empty cells."""
        # the shortest text that reads back as the same number
        texts = [part.values[column.key].astype(str) for column in self._columns]  # each (N, D)
        numbers = np.concatenate(texts, axis=1)
        empty = [""] * numbers.shape[1]
        for row, cells in zip(part.rows, numbers, strict=True):
            self._writer.writerow([*row, *(cells.tolist() if row.good else empty)])

    def _number_names(self) -> Iterator[str]:
        for column in self._columns:
            prefix = "" if len(self._columns) == 1 else f"{column.key}__"
            yield from (f"{prefix}e{i}" for i in range(column.width))


def _write(separator: str, result: Result, path: Path) -> None:
    with text_file(path) as stream:
        table = TableWriter(stream, result.columns, separator)
        for part in result:
            table.add(part)


@contextmanager
def text_file(path: Path) -> Iterator[IO[str]]:
    """Open a text file for writing, compressed when its name ends in .gz; equal text gives equal bytes."""
    with ExitStack() as stack:
        raw: IO[bytes] = stack.enter_context(path.open("wb"))
        if path.suffix == ".gz":
            raw = stack.enter_context(cast(IO[bytes], gzip.GzipFile("", "wb", fileobj=raw, mtime=0)))
        yield stack.enter_context(io.TextIOWrapper(raw, "utf-8", newline=""))


def store_record(result: RowResult, output: Path) -> None:
    """Write the provenance beside an output: a comment inside would break readers of tables."""
    text = result.record() + "\n"
    store_file(beside_record(output), lambda file: file.write(text.encode()))


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the provenance back from the file beside the table."""
    return read_json(beside_record(path))


def _hint(extra: str, path: str, result: Result) -> str:
    """Return the line of Python that loads the table."""
    return f'import pyarrow.csv as csv; table = csv.read_csv("{path}"{extra})'


def _format(name: str, separator: str, extra: str) -> Format:
    write: Callable[[Result, Path], None] = partial(_write, separator)
    suffixes = (f".{name}", f".{name}.gz")
    return Format(name, suffixes, write, read_record, partial(_hint, extra))


CSV = _format("csv", ",", "")
TSV = _format("tsv", "\t", ', parse_options=csv.ParseOptions(delimiter="\\t")')
SEPARATORS = {"csv": ",", "tsv": "\t"}
