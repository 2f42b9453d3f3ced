"""Parquet tables, read in batches."""

from collections.abc import Iterator
from typing import Any

from bio_xlstm.errors import InputError
from bio_xlstm.records.columns import choose_column, choose_id
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record

BATCH_ROWS = 4096


def open_parquet(raw: RawFile) -> Any:
    """Open a Parquet file; raise InputError with pyarrow's reason when it is none."""
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(raw.path if raw.compression is None else raw.open(), memory_map=False)
    except (pyarrow.ArrowException, OSError, EOFError) as error:
        raise InputError(f"{raw.name}: no readable Parquet file: {one_line(error)}") from None


def parquet_columns(raw: RawFile) -> list[str]:
    """Return the names of the columns."""
    with open_parquet(raw) as table:
        return list(table.schema_arrow.names)


def read_parquet(raw: RawFile, *, kind: str | None, column: str | None) -> Iterator[Record]:
    """Yield one record per row, of the columns of sequences and names alone; null becomes ""."""
    import pyarrow

    with open_parquet(raw) as table:
        schema = table.schema_arrow
        chosen = choose_column(schema.names, kind=kind, column=column, source=raw.name)
        if not is_text(schema.field(chosen).type):
            found = schema.field(chosen).type
            raise InputError(f"{raw.name}: column {schema.names[chosen]!r} holds {found}, not text")
        identity = choose_id(schema.names, chosen)
        if identity is not None and pyarrow.types.is_nested(schema.field(identity).type):
            identity = None
        wanted = [schema.names[i] for i in (chosen, identity) if i is not None]
        row = 0
        try:
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                texts = cells(batch.column(wanted[0]))
                names = cells(batch.column(wanted[1])) if identity is not None else [""] * len(texts)
                for text, name in zip(texts, names, strict=True):
                    yield Record(row, name, text, 0)
                    row += 1
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{raw.name}: damaged after row {row}: {one_line(error)}") from None


def cells(array: Any) -> list[str]:
    """Turn a column into texts."""
    return ["" if value is None else str(value).strip() for value in array.to_pylist()]


def is_text(kind: Any) -> bool:
    """Say whether an Arrow type is text, directly or through a dictionary."""
    from pyarrow import types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(inner) or types.is_large_string(inner) or types.is_string_view(inner))


def one_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
