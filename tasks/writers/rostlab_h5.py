"""HDF5 as ProtTrans writes it: one dataset per sequence under its id; nothing lost to odd or repeated ids."""

from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.tasks.provenance import KEY, decode
from bio_xlstm.tasks.writers.part import Part, Row
from bio_xlstm.tasks.writers.result import Format, Result


def write(result: Result, path: Path) -> None:
    """Write (D,) or, per token, (length, D) datasets; a row without embedding is NaN or has length 0.

    Attributes of each dataset: original_id, row, length, status, detail; the file's carry the provenance.
    """
    import h5py

    with h5py.File(path, "w", libver=("v108", "v108"), track_order=True) as file:
        file.attrs[KEY] = result.record()
        key = result.columns[0].key
        for part in result:
            for i, row in enumerate(part.rows):
                name = free_name(row, file)
                dataset = file.create_dataset(
                    name, data=_vectors(part, key, i, result.per_token), track_times=False
                )
                dataset.attrs["original_id"] = row.id.replace("\0", "")
                for field in ("row", "length", "status", "detail"):
                    dataset.attrs[field] = getattr(row, field)


def _vectors(part: Part, key: str, i: int, per_token: bool) -> np.ndarray:
    """Return what is stored of row i of a part."""
    values = part.values[key]
    return values[part.offsets[i] : part.offsets[i + 1]] if per_token else values[i]


def free_name(row: Row, taken: Any) -> str:
    """Return the id as ProtTrans rewrites it; the row number is added when it is empty or taken."""
    name = row.id.replace("/", "_").replace(".", "_").replace("\0", "_")
    if name and name not in taken:
        return name
    name = f"{name}_row{row.row}" if name else f"row{row.row}"
    while name in taken:
        name += "_"
    return name


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the provenance back from the file's attributes."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return decode(file.attrs.get(KEY, ""))
    except OSError:
        return None


def load_hint(path: str, result: Result) -> str:
    """Return the line of Python that loads the file."""
    return f'import h5py; vectors = {{name: data[:] for name, data in h5py.File("{path}").items()}}'


FORMAT = Format(
    "rostlab-h5", (".h5", ".hdf5"), write, read_record, load_hint, per_token=True, several=False, needs="h5py"
)
