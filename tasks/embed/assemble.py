"""Rows and vectors of one unit, put together as a part."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.embedding import Vectors
from bio_xlstm.errors import SequenceError
from bio_xlstm.tasks.embed.compute import Embedded, Embedder
from bio_xlstm.tasks.embed.prepare import Ready
from bio_xlstm.tasks.writers.part import Part, Row
from bio_xlstm.tasks.writers.result import Column
from bio_xlstm.tasks.writers.store_dtype import stored


def embed_unit(
    ready: Sequence[Ready],
    embedder: Embedder,
    columns: Sequence[Column],
    store: str,
    on_error: str,
    source: str,
) -> Part:
    """Embed the readable rows of a unit and lay all rows out in order.

    With on_error="fail" the first row without an embedding raises SequenceError; with "skip" such rows are set aside.
    """
    if on_error == "fail":
        _refuse_bad([one.row for one in ready], source)
    found = iter(embedder([one.ids for one in ready if len(one.ids)]))
    results = [next(found) if len(one.ids) else None for one in ready]
    rows = [_row(one.row, result, embedder, store) for one, result in zip(ready, results, strict=True)]
    if on_error == "fail":
        _refuse_bad(rows, source)
    kept = [i for i, row in enumerate(rows) if row.good or on_error != "skip"]
    return _part(
        [rows[i] for i in kept],
        [results[i] if rows[i].good else None for i in kept],
        columns,
        store,
        [row for row in rows if not row.good] if on_error == "skip" else [],
    )


def _row(row: Row, result: Embedded | None, embedder: Embedder, store: str) -> Row:
    """Note on a row what happened while it was embedded."""
    if result is None:
        return row
    if result.vectors is None:
        return row._replace(
            status="oom", detail=f"{row.length} tokens do not fit into memory, one at a time on the CPU"
        )
    if fault := _fault(result.vectors, store):
        return row._replace(status="error", detail=fault)
    if not embedder.model.causal and row.length > result.budget:
        also = f"; {row.detail}" if row.detail else ""
        return row._replace(status="windowed", detail=f"read in windows of {result.budget} tokens{also}")
    return row


def _fault(vectors: Vectors, store: str) -> str:
    """Say why numbers are no embedding, as NaN and infinity are not; empty where all is well."""
    if not all(np.isfinite(block).all() for block in vectors.values()):
        return "the model computed numbers that are not finite; --dtype fp32 or bf16 may help"
    if not all(np.isfinite(stored(block, store)).all() for block in vectors.values()):
        return f"some numbers are too large for --store-dtype {store}; fp32 holds them"
    return ""


def _refuse_bad(rows: Sequence[Row], source: str) -> None:
    for row in rows:
        if not row.good:
            raise SequenceError(f"{source} row {row.row} {row.id!r}: {row.status}: {row.detail}")


def _part(
    rows: list[Row],
    results: Sequence[Embedded | None],
    columns: Sequence[Column],
    store: str,
    skipped: list[Row],
) -> Part:
    counts = np.zeros(len(rows), np.int64)
    values = {}
    for column in columns:
        if column.pool == "none":
            blocks = [_vectors(result, column) for result in results]
            counts = np.array([len(block) for block in blocks], np.int64)
            values[column.key] = stored(
                np.concatenate([*blocks, np.empty((0, column.width), np.float32)]), store
            )
        else:
            vectors = [_vectors(result, column) for result in results]
            values[column.key] = stored(np.stack(vectors) if vectors else np.empty((0, column.width)), store)
    return Part(rows, counts, values, skipped)


def _vectors(result: Embedded | None, column: Column) -> np.ndarray:
    """Return a row's vector(s); NaN, or none per token, where there is no embedding."""
    if result is not None and result.vectors is not None:
        return result.vectors[column.layer, column.pool]
    if column.pool == "none":
        return np.empty((0, column.width), np.float32)
    return np.full(column.width, np.nan, np.float32)
