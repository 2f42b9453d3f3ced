"""Tables with one row of numbers per sequence: CSV and TSV, Parquet, .npz."""

import csv
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from bio_xlstm.tasks.provenance import KEY
from bio_xlstm.tasks.score.assemble import COUNT
from bio_xlstm.tasks.score.result import ScoreResult
from bio_xlstm.tasks.writers.arrays import StreamedArray, per_part
from bio_xlstm.tasks.writers.npz import row_arrays, write_arrays
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.text import text_file

# rows of a table between the description of the record and what became of it
_BEFORE, _AFTER = ("row", "id", "length"), ("status", "detail")


class NumberTable:
    """Write rows of numbers as lines to a text stream; the header goes first."""

    def __init__(self, stream: IO[str], names: Iterable[str], separator: str = ",") -> None:
        self._names = tuple(names)
        self._writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        self._writer.writerow([*_BEFORE, *self._names, *_AFTER])

    def add(self, part: Part) -> None:
        """Write the rows of a part; rows that are not good have empty cells."""
        for i, row in enumerate(part.rows):
            cells = [written(name, part.values[name][i]) if row.good else "" for name in self._names]
            self._writer.writerow([row.row, row.id, row.length, *cells, row.status, row.detail])


def written(name: str, number: float) -> str:
    """Write a number: a count in full, anything else with the nine digits that tell float32 numbers apart."""
    return f"{number:.0f}" if name == COUNT else f"{number:.9g}"


def write_text(separator: str, result: ScoreResult, path: Path) -> None:
    """Write a text table."""
    with text_file(path) as stream:
        table = NumberTable(stream, result.names, separator)
        for part in result:
            table.add(part)


def write_parquet(result: ScoreResult, path: Path) -> None:
    """Write one row group per part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {COUNT: pa.int64()}
    fields = [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        *(pa.field(name, types.get(name, pa.float64())) for name in result.names),
        pa.field("status", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
    schema = pa.schema(fields, metadata={KEY: result.record()})
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["status", "detail"]) as writer:
        for part in result:
            good = part.good()
            numbers = [_column(part.values[name], good, schema.field(name).type) for name in result.names]
            writer.write_table(
                pa.Table.from_arrays([*_texts(part, _BEFORE), *numbers, *_texts(part, _AFTER)], schema=schema)
            )


def _column(values: np.ndarray, good: np.ndarray, kind: Any) -> Any:
    """Turn numbers (N,) into a column with nulls where a row has none."""
    import pyarrow as pa

    return pa.array(np.where(good, values, 0), mask=~good).cast(kind)


def _texts(part: Part, names: Iterable[str]) -> list[Any]:
    """Return what describes the rows of a part."""
    import pyarrow as pa

    numbers = ("row", "length")
    return [
        pa.array(part.numbers(name)) if name in numbers else pa.array(part.texts(name), pa.string())
        for name in names
    ]


def write_npz(result: ScoreResult, path: Path) -> None:
    """Write one array (N,) per number beside those of the rows; NaN, and count 0, where a row has no score."""
    write_arrays([*row_arrays(result), *(_array(result, name) for name in result.names)], result, path)


def _array(result: ScoreResult, name: str) -> StreamedArray:
    def cut(part: Part) -> np.ndarray:
        values = part.values[name]
        return np.nan_to_num(values).astype(np.int64) if name == COUNT else values

    return per_part(result, name, "<i8" if name == COUNT else "<f8", cut)


WRITERS = {
    "parquet": write_parquet,
    "npz": write_npz,
    "csv": partial(write_text, ","),
    "tsv": partial(write_text, "\t"),
}
