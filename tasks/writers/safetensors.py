"""safetensors, streamed: the arrays of .npz, with strings as UTF-8 bytes and offsets, and true bfloat16."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.tasks.provenance import KEY, decode
from bio_xlstm.tasks.writers.arrays import StreamedArray, number_arrays, text_arrays
from bio_xlstm.tasks.writers.result import Format, Result
from bio_xlstm.tasks.writers.store_dtype import to_bf16_bits

_TYPE_NAMES = {"<i8": "I64", "<i4": "I32", "<f4": "F32", "<f2": "F16", "|u1": "U8"}


def write(result: Result, path: Path) -> None:
    """Write the header, whose sizes are known from the parts' facts, then every array part by part."""
    arrays = [
        *number_arrays(result),
        *text_arrays(result, "id", "ids"),
        *text_arrays(result, "status", "status"),
    ]
    arrays.sort(key=lambda array: -array.dtype.itemsize)  # keeps every tensor aligned to its own size
    header: dict[str, Any] = {"__metadata__": {KEY: result.record()}}
    begin = 0
    for array in arrays:
        kind, width = _stored_type(array, result)
        end = begin + width * int(np.prod(array.shape, dtype=np.int64))
        header[array.name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays:
            kind, _ = _stored_type(array, result)
            for block in array.blocks():
                data = to_bf16_bits(block) if kind == "BF16" else np.ascontiguousarray(block, array.dtype)
                file.write(data.tobytes())


def _stored_type(array: StreamedArray, result: Result) -> tuple[str, int]:
    """Return the name of an array's type in the file and its size in bytes."""
    if result.store == "bf16" and array.dtype == np.dtype("<f4"):
        return "BF16", 2
    return _TYPE_NAMES[array.dtype.str], array.dtype.itemsize


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the provenance back from the header."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, 100 << 20)))
        return decode(header["__metadata__"][KEY])
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def load_hint(path: str, result: Result) -> str:
    """Return the line of Python that loads the file."""
    name = result.name(result.columns[0], "values" if result.per_token else "embeddings")
    package = "torch" if result.store == "bf16" else "numpy"
    return (
        f'from safetensors.{package} import load_file; data = load_file("{path}"); vectors = data["{name}"]'
    )


FORMAT = Format("safetensors", (".safetensors",), write, read_record, load_hint, per_token=True)
