"""Rows and vectors of one unit, put together as a part."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from bio_xlstm.embedding import Vectors
from bio_xlstm.tasks.embed.compute import Embedder
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.unit_rows import Laid, compute_unit
from bio_xlstm.tasks.writers.part import Part
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
    """Embed the readable rows of a unit and lay all rows out in order; `on_error` as in `compute_unit`."""
    fault, lay_out = partial(_fault, store=store), partial(_lay_out, columns=columns, store=store)
    return compute_unit(ready, embedder, fault, lay_out, on_error=on_error, source=source)


def _fault(vectors: Vectors, store: str) -> str:
    """Say why numbers are no embedding, as NaN and infinity are not; empty where all is well."""
    if not all(np.isfinite(block).all() for block in vectors.values()):
        return "the model computed numbers that are not finite; --dtype fp32 or bf16 may help"
    if not all(np.isfinite(stored(block, store)).all() for block in vectors.values()):
        return f"some numbers are too large for --store-dtype {store}; fp32 holds them"
    return ""


def _lay_out(results: Sequence[Vectors | None], columns: Sequence[Column], store: str) -> Laid:
    """Put the vectors of rows together, column by column."""
    counts = np.zeros(len(results), np.int64)
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
    return Laid(counts, values)


def _vectors(result: Vectors | None, column: Column) -> np.ndarray:
    """Return a row's vector(s); NaN, or none per token, where there is no embedding."""
    if result is not None:
        return result[column.layer, column.pool]
    if column.pool == "none":
        return np.empty((0, column.width), np.float32)
    return np.full(column.width, np.nan, np.float32)
