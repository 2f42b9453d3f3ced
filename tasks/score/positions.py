"""Tables with one number per token: CSV and TSV with a line for each, Parquet and .npz with a list per sequence."""

import csv
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from bio_xlstm.tasks.provenance import KEY
from bio_xlstm.tasks.score.assemble import LOGPROBS, TOKENS
from bio_xlstm.tasks.score.result import ScoreResult
from bio_xlstm.tasks.writers.arrays import StreamedArray, row_offsets
from bio_xlstm.tasks.writers.npz import row_arrays, write_arrays
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.text import text_file

_COLUMNS = ("row", "id", "position", "token", "logprob", "status", "detail")


class PositionTable:
    """Write one line per token to a text stream, positions from 1; the stop stands behind the last letter."""

    def __init__(self, stream: IO[str], symbols: Sequence[str], separator: str = ",") -> None:
        self._symbols = symbols
        self._writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        self._writer.writerow(_COLUMNS)

    def add(self, part: Part) -> None:
        """Write the rows of a part; a row that is not good has one line without position, so that it is not lost."""
        for i, row in enumerate(part.rows):
            if not row.good:
                self._writer.writerow([row.row, row.id, "", "", "", row.status, row.detail])
                continue
            cut = slice(part.offsets[i], part.offsets[i + 1])
            logprobs = part.values[LOGPROBS][cut]
            # the shortest text that reads back as the same number
            texts = np.where(np.isnan(logprobs), "", logprobs.astype(str)).tolist()
            symbols = [self._symbols[token] for token in part.values[TOKENS][cut]]
            for place, (symbol, text) in enumerate(zip(symbols, texts, strict=True), start=1):
                self._writer.writerow([row.row, row.id, place, symbol, text, row.status, row.detail])


def write_text(separator: str, result: ScoreResult, path: Path) -> None:
    """Write a text table."""
    with text_file(path) as stream:
        table = PositionTable(stream, result.symbols, separator)
        for part in result:
            table.add(part)


def write_parquet(result: ScoreResult, path: Path) -> None:
    """Write one row per sequence with the lists `token` and `logprob`; one row group per part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("token", pa.list_(pa.dictionary(pa.int32(), pa.string()))),
        pa.field("logprob", pa.list_(pa.float32())),
        pa.field("status", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
    schema = pa.schema(fields, metadata={KEY: result.record()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in result:
            writer.write_table(pa.Table.from_arrays(list(_columns(part, result.symbols)), schema=schema))


def _columns(part: Part, symbols: Sequence[str]) -> Iterator[Any]:
    """Yield the columns of a part."""
    import pyarrow as pa

    logprobs = part.values[LOGPROBS]
    missing, good = np.isnan(logprobs), part.good()
    tokens = pa.DictionaryArray.from_arrays(pa.array(part.values[TOKENS]), pa.array(symbols, pa.string()))
    yield pa.array(part.numbers("row"))
    yield pa.array(part.texts("id"), pa.string())
    yield pa.array(part.numbers("length"))
    for values in (tokens, pa.array(logprobs, mask=missing)):
        yield pa.ListArray.from_arrays(pa.array(part.offsets, pa.int32()), values, mask=pa.array(~good))
    yield pa.array(part.texts("status"), pa.string())
    yield pa.array(part.texts("detail"), pa.string())


def write_npz(result: ScoreResult, path: Path) -> None:
    """Write `values` and `tokens` (sum of all counts,), and `offsets` (N + 1,): row i has values[o[i]:o[i + 1]]."""
    total = result.facts["values"]
    arrays = [
        *row_arrays(result),
        row_offsets(result),
        StreamedArray(
            "values", np.dtype("<f4"), (total,), lambda: (part.values[LOGPROBS] for part in result)
        ),
        StreamedArray("tokens", np.dtype("<i4"), (total,), lambda: (part.values[TOKENS] for part in result)),
    ]
    write_arrays(arrays, result, path)


WRITERS = {
    "parquet": write_parquet,
    "npz": write_npz,
    "csv": partial(write_text, ","),
    "tsv": partial(write_text, "\t"),
}
