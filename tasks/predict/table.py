"""Tables of predictions: CSV, TSV and Parquet, with the columns of the input untouched."""

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any

from bio_xlstm.tasks.predict.result import Header, PredictResult
from bio_xlstm.tasks.provenance import KEY
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.text import text_file

# rows of a row group of a Parquet file
_GROUP = 65_536


class Lines:
    """Put the cells of the input and what is predicted side by side; parts come in the order of their rows."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self._input = zip(count(), header.columns.rows(), strict=False)

    def of(self, part: Part) -> Iterator[list[Any]]:
        """Yield one line per row of a part; rows that are not good have empty cells."""
        cells = self.header.write(part)
        empty = [""] * len(self.header.predicted)
        for row, own in zip(part.rows, cells, strict=True):
            given = next(found for number, found in self._input if number == row.row)
            yield [*given, *(own if row.good else empty), row.status, row.detail]


class PredictTable:
    """Write predictions as lines to a text stream; the header goes first."""

    def __init__(self, stream: IO[str], header: Header, separator: str = ",") -> None:
        self._lines = Lines(header)
        self._writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        self._writer.writerow(header.names)

    def add(self, part: Part) -> None:
        """Write the rows of a part."""
        for line in self._lines.of(part):
            self._writer.writerow(["" if cell is None else cell for cell in line])


def write_text(separator: str, result: PredictResult, path: Path) -> None:
    """Write a text table."""
    with text_file(path) as stream:
        table = PredictTable(stream, result.header, separator)
        for part in result:
            table.add(part)


def write_parquet(result: PredictResult, path: Path) -> None:
    """Write row groups; columns of a Parquet input keep their types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(result)
    lines = Lines(result.header)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        waiting: list[list[Any]] = []
        for part in result:
            waiting += lines.of(part)
            if len(waiting) >= _GROUP:
                writer.write_table(_table(waiting, result.header, schema))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(_table(waiting, result.header, schema).to_batches()))


def _schema(result: PredictResult) -> Any:
    """Return the Arrow schema, with the provenance in its metadata."""
    import pyarrow as pa

    header = result.header
    kinds = [
        *(pa.string() if kind is None else kind for kind in header.columns.kinds),
        *(pa.string() if place in header.texts else pa.float64() for place in range(len(header.predicted))),
        *(pa.string() for _ in header.status),
    ]
    fields = [pa.field(name, kind) for name, kind in zip(header.names, kinds, strict=True)]
    return pa.schema(fields, metadata={KEY: result.record()})


def _table(lines: Sequence[Sequence[Any]], header: Header, schema: Any) -> Any:
    """Turn lines into columns; cells without a number are null."""
    import pyarrow as pa

    first = len(header.columns.names)
    arrays = []
    for place, column in enumerate(zip(*lines, strict=True)):
        cells: Sequence[Any] = column
        own = place - first
        if 0 <= own < len(header.predicted):
            cells = [
                (cell if own in header.texts else float(cell)) if cell != "" else None for cell in column
            ]
        arrays.append(pa.array(cells, schema.field(place).type))
    return pa.Table.from_arrays(arrays, schema=schema)


WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "parquet": write_parquet,
    "csv": partial(write_text, ","),
    "tsv": partial(write_text, "\t"),
}
LOAD = {
    "parquet": 'import pyarrow.parquet; table = pyarrow.parquet.read_table("{path}")',
    "csv": 'import pyarrow.csv as csv; table = csv.read_csv("{path}")',
    "tsv": "import pyarrow.csv as csv; "
    'table = csv.read_csv("{path}", parse_options=csv.ParseOptions(delimiter="\\t"))',
}
