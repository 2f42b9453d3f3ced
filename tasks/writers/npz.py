"""NumPy .npz without pickled objects, streamed: memory holds one part whatever the number of rows."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from bio_xlstm.tasks.provenance import decode
from bio_xlstm.tasks.writers.arrays import StreamedArray, number_arrays, per_part, row_numbers, text_arrays
from bio_xlstm.tasks.writers.result import Format, Result, RowResult

_STATUS = "<U16"  # the words for a status are few and short; ids are neither


def write(result: Result, path: Path) -> None:
    """Write ids (UTF-8 bytes, offsets), status, rows, lengths, (offsets,) the vectors, and the provenance (JSON)."""
    write_arrays([*_texts(result), *number_arrays(result)], result, path)


def row_arrays(result: RowResult) -> list[StreamedArray]:
    """Return what describes the rows: ids, status, rows and lengths."""
    return [*_texts(result), *row_numbers(result)]


def _texts(result: RowResult) -> list[StreamedArray]:
    return [
        *text_arrays(result, "id", "ids"),
        per_part(result, "status", _STATUS, lambda part: np.array(part.texts("status"), _STATUS)),
    ]


def write_arrays(arrays: Iterable[StreamedArray], result: RowResult, path: Path) -> None:
    """Write arrays, and the provenance behind them."""
    record = np.array(result.record())
    last = StreamedArray("provenance", record.dtype, (), lambda: iter([record]))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for array in (*arrays, last):
            # a bare name gives the zip epoch as time stamp: equal results are equal bytes
            with archive.open(f"{array.name}.npy", "w", force_zip64=True) as file:
                header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
                npy.write_array_header_1_0(file, header)
                for block in array.blocks():
                    file.write(np.ascontiguousarray(block, array.dtype).tobytes())


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the provenance back from its array."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return decode(str(arrays["provenance"]))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def load_hint(path: str, result: Result) -> str:
    """Return the line of Python that loads the file."""
    name = result.name(result.columns[0], "values" if result.per_token else "embeddings")
    return (
        f'import numpy; data = numpy.load("{path}"); vectors = data["{name}"]; '
        'b, o = bytes(data["ids"]), data["ids_offsets"]; ids = [b[i:j].decode() for i, j in zip(o, o[1:])]'
    )


def rows_of(values: np.ndarray, offsets: np.ndarray) -> Iterator[np.ndarray]:
    """Yield each row's (length, D) vectors out of a per-token file's `values` and `offsets`."""
    for begin, end in zip(offsets[:-1], offsets[1:], strict=True):
        yield values[begin:end]


FORMAT = Format("npz", (".npz",), write, read_record, load_hint, per_token=True)
