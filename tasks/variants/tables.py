"""Tables: the columns of the input as they are, then numbers, status and detail."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from bio_xlstm.records import Record
from bio_xlstm.tasks.provenance import KEY
from bio_xlstm.tasks.variants.result import Beside, VariantResult, own_names
from bio_xlstm.tasks.variants.source import VariantSource
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.text import text_file

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# codes such as 007 are no numbers
_CODE = re.compile(r"[+-]?0[0-9].*")


class VariantTable:
    """Write rows to a text stream; the header goes first."""

    def __init__(
        self, stream: IO[str], source: VariantSource, names: Sequence[str], separator: str = ","
    ) -> None:
        self._columns, self._names = source.columns, tuple(names)
        self._beside = Beside(source)
        self._writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        self._writer.writerow([*self._columns, *own_names(self._columns, self._names)])

    def add(self, part: Part) -> None:
        """Write the rows of a part; rows that are not good have no numbers."""
        for i, row in enumerate(part.rows):
            record = self._beside.of(row)
            numbers = [f"{part.values[name][i]:.9g}" if row.good else "" for name in self._names]
            cells = [cell(record, name) for name in self._columns]
            self._writer.writerow([*cells, *numbers, row.status, row.detail])


def cell(record: Record, column: str) -> str:
    """Return what the input says in a column; nothing where a row is too short."""
    return (record.fields or {}).get(column, "")


def write_text(separator: str, result: VariantResult, path: Path) -> None:
    """Write a text table."""
    with text_file(path) as stream:
        table = VariantTable(stream, result.source, result.names, separator)
        for part in result:
            table.add(part)


def write_parquet(result: VariantResult, path: Path) -> None:
    """Write one row group per part; columns of the input that hold numbers alone are numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = _types(result.source)
    *numbers, status, detail = own_names(result.source.columns, result.names)
    fields = [
        *(pa.field(name, kind) for name, kind in types.items()),
        *(pa.field(name, pa.float64()) for name in numbers),
        *(pa.field(name, pa.string(), nullable=False) for name in (status, detail)),
    ]
    schema = pa.schema(fields, metadata={KEY: result.record()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part, records in result.beside():
            columns = [_column(records, name, kind) for name, kind in types.items()]
            columns += [_numbers(part.values[name], part.good()) for name in result.names]
            columns += [pa.array(part.texts(name), pa.string()) for name in ("status", "detail")]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _types(source: VariantSource) -> Mapping[str, Any]:
    """Read through the input and find the columns that hold whole numbers, numbers, or text."""
    import pyarrow as pa

    whole, number, seen = set(source.columns), set(source.columns), set[str]()
    for record in source:
        for name in source.columns:
            if text := cell(record, name).strip():
                seen.add(name)
                if name in whole and not _WHOLE.fullmatch(text):
                    whole.discard(name)
                if name in number and (not _NUMBER.fullmatch(text) or _CODE.fullmatch(text)):
                    number.discard(name)
    kinds = {}
    for name in source.columns:
        is_whole, is_number = name in whole & seen, name in number & seen
        kinds[name] = pa.int64() if is_whole else pa.float64() if is_number else pa.string()
    return kinds


def _column(records: Sequence[Record], name: str, kind: Any) -> Any:
    """Turn cells into a column; a blank is no number."""
    import pyarrow as pa

    texts = [cell(record, name) for record in records]
    if kind == pa.string():
        return pa.array(texts, kind)
    read = int if kind == pa.int64() else float
    return pa.array([read(text) if text.strip() else None for text in texts], kind)


def _numbers(values: np.ndarray, good: np.ndarray) -> Any:
    """Turn numbers (N,) into a column with nulls where a row has none."""
    import pyarrow as pa

    return pa.array(np.where(good, values, 0), mask=~good)
