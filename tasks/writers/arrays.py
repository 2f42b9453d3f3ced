"""The arrays of a result, streamed: what .npz and .safetensors hold, array by array and part by part."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import Column, Result, RowResult


class StreamedArray(NamedTuple):
    """Name an array of known shape whose rows come part by part."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    blocks: Callable[[], Iterator[np.ndarray]]


def per_part(result: RowResult, name: str, dtype: str, cut: Callable[[Part], np.ndarray]) -> StreamedArray:
    """Return an array with one entry per row."""
    return StreamedArray(
        name, np.dtype(dtype), (result.facts["rows"],), lambda: (cut(part) for part in result)
    )


def text_arrays(result: RowResult, field: str, name: str) -> list[StreamedArray]:
    """Return a column of text as `name` (UTF-8 bytes) and `name_offsets`: string i is bytes[o[i]:o[i + 1]]."""

    def letters() -> Iterator[np.ndarray]:
        for part in result:
            yield np.frombuffer("".join(part.texts(field)).encode(), np.uint8)

    def offsets() -> Iterator[np.ndarray]:
        end = np.int64(0)
        yield np.zeros(1, np.int64)
        for part in result:
            if part.rows:
                ends = end + np.cumsum([len(text.encode()) for text in part.texts(field)])
                end = ends[-1]
                yield ends

    rows = result.facts["rows"]
    return [
        StreamedArray(f"{name}_offsets", np.dtype("<i8"), (rows + 1,), offsets),
        StreamedArray(name, np.dtype("|u1"), (result.facts[f"{field}_bytes"],), letters),
    ]


def texts_of(arrays: Mapping[str, np.ndarray], name: str) -> list[str]:
    """Return a column of text, `ids` for instance, out of the loaded arrays of an .npz or .safetensors file.

    >>> texts_of({"ids": np.frombuffer(b"abc", np.uint8), "ids_offsets": np.array([0, 1, 3])}, "ids")
    ['a', 'bc']
    """
    letters, offsets = arrays[name].tobytes(), arrays[f"{name}_offsets"]
    return [letters[begin:end].decode() for begin, end in zip(offsets[:-1], offsets[1:], strict=True)]


def number_arrays(result: Result) -> list[StreamedArray]:
    """Return rows, lengths, the vectors of every column and, per token, the offsets."""
    arrays = row_numbers(result)
    if result.per_token:
        arrays.append(row_offsets(result))
    return arrays + [_vectors(result, column) for column in result.columns]


def row_numbers(result: RowResult) -> list[StreamedArray]:
    """Return rows and lengths."""
    return [
        per_part(result, "rows", "<i8", lambda part: part.numbers("row")),
        per_part(result, "lengths", "<i4", lambda part: part.numbers("length")),
    ]


def row_offsets(result: RowResult) -> StreamedArray:
    """Return where the numbers of every row begin and end, (N + 1,)."""
    return StreamedArray("offsets", np.dtype("<i8"), (result.facts["rows"] + 1,), lambda: _offsets(result))


def _vectors(result: Result, column: Column) -> StreamedArray:
    stem = "values" if result.per_token else "embeddings"
    count = result.facts["values" if result.per_token else "rows"]
    dtype = np.dtype("<f2" if result.store == "fp16" else "<f4")
    return StreamedArray(
        result.name(column, stem),
        dtype,
        (count, column.width),
        lambda: (part.values[column.key] for part in result),
    )


def _offsets(result: RowResult) -> Iterator[np.ndarray]:
    """Yield offsets[0] = 0, then the end of every row."""
    end = np.int64(0)
    yield np.zeros(1, np.int64)
    for part in result:
        if len(part.rows):
            ends = end + np.cumsum(part.counts)
            end = ends[-1]
            yield ends
