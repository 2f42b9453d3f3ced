"""Parquet, the default: one row per record, one fixed-size list of floats per layer and pool."""

from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.tasks.provenance import KEY, decode
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import Column, Format, Result

GROUP_BYTES = 64 << 20  # parts are gathered into row groups of about this size


def write(result: Result, path: Path) -> None:
    """Write the parts as row groups; at most one row group lies in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(result)
    lists = [f"{result.name(column, 'embedding')}.list.element" for column in result.columns]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=["status", "detail"],
        column_encoding=dict.fromkeys(lists, "BYTE_STREAM_SPLIT"),
    ) as writer:
        waiting: list[pa.Table] = []
        for part in result:
            waiting.append(_table(part, result, schema))
            if sum(table.nbytes for table in waiting) >= GROUP_BYTES:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting).combine_chunks())


def _schema(result: Result) -> Any:
    import pyarrow as pa

    number = pa.float16() if result.store == "fp16" else pa.float32()
    fields = [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
    fields += [
        pa.field(result.name(column, "embedding"), pa.list_(number, column.width))
        for column in result.columns
    ]
    return pa.schema(fields, metadata={KEY: result.record()})


def _table(part: Part, result: Result, schema: Any) -> Any:
    import pyarrow as pa

    columns = [
        pa.array(part.numbers("row")),
        pa.array(part.texts("id"), pa.string()),
        pa.array(part.numbers("length")),
        pa.array(part.texts("status"), pa.string()),
        pa.array(part.texts("detail"), pa.string()),
    ]
    columns += [_vectors(part.values[column.key], part.good(), column) for column in result.columns]
    return pa.Table.from_arrays(columns, schema=schema)


def _vectors(values: np.ndarray, good: np.ndarray, column: Column) -> Any:
    """Turn (N, D) into N lists of D, null where the row has no embedding."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, column.width, mask=pa.array(~good))


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the provenance back from the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    return decode(metadata.get(KEY.encode(), b""))


def load_hint(path: str, result: Result) -> str:
    """Return the line of Python that loads the file."""
    name = result.name(result.columns[0], "embedding")
    return (
        f'import numpy, pyarrow.parquet; table = pyarrow.parquet.read_table("{path}"); '
        f'vectors = numpy.stack(table["{name}"].drop_null().to_numpy())'
    )


FORMAT = Format("parquet", (".parquet", ".pq"), write, read_record, load_hint)
