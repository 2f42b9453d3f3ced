"""A folder of .pt files as esm-extract writes it: {label, mean_representations, representations} per sequence."""

import csv
import io
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.tasks.writers.part import Part, Row
from bio_xlstm.tasks.writers.result import Format, Result, read_json

INDEX = "index.csv"
RECORD = "provenance.json"
_SAFE = re.compile(
    r"[A-Za-z0-9_=+,@-][A-Za-z0-9_=+,@.|-]{0,149}" if os.name != "nt" else r"[A-Za-z0-9_=+-]{1,150}"
)


def write(result: Result, path: Path) -> None:
    """Write one file per row and index.csv (row, id, length, status, detail, file).

    A file is named for the id where that is safe and free, otherwise for the row number; layers are counted from
    0 (the embedding). A row without embedding is NaN or, per token, has length 0.
    """
    import torch

    path.mkdir()
    with (path / INDEX).open("w", encoding="utf-8", newline="") as stream:
        index = csv.writer(stream, lineterminator="\n")
        index.writerow([*Row._fields, "file"])
        for part in result:
            for i, row in enumerate(part.rows):
                name = file_name(row, path)
                buffer = io.BytesIO()
                torch.save(_record(part, i, result), buffer)
                (path / name).write_bytes(buffer.getvalue())
                index.writerow([*row, name])
    (path / RECORD).write_text(result.record() + "\n", encoding="utf-8")
    if hasattr(os, "sync"):
        os.sync()  # one call for all files; the folder gets its final name after it


def _record(part: Part, i: int, result: Result) -> dict[str, Any]:
    """Return what esm-extract stores for one sequence."""
    import torch

    row = part.rows[i]
    dtype = torch.bfloat16 if result.store == "bf16" else None
    record: dict[str, Any] = {"label": row.id}
    tables: dict[str, dict[int, Any]] = defaultdict(dict)
    for column in result.columns:
        values = part.values[column.key]
        cut = values[part.offsets[i] : part.offsets[i + 1]] if result.per_token else values[i]
        name = "representations" if result.per_token else f"{column.pool}_representations"
        # a copy: torch stores the whole array that a slice is cut from
        tables[name][column.layer] = torch.from_numpy(np.array(cut)).to(dtype)
    return record | dict(tables)


def file_name(row: Row, folder: Path) -> str:
    """Return a name that no other file of the folder has and that cannot lead out of it."""
    if _SAFE.fullmatch(row.id) and not (folder / f"{row.id}.pt").exists():
        return f"{row.id}.pt"
    name = f"row_{row.row:08d}.pt"
    while (folder / name).exists():
        name = f"_{name}"
    return name


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the provenance back from the folder."""
    return read_json(path / RECORD)


def foreign_files(path: Path) -> list[str]:
    """List what a folder holds besides the files that its own index names; nothing where it has no index."""
    try:
        with (path / INDEX).open(encoding="utf-8", newline="") as stream:
            ours = {INDEX, RECORD} | {row["file"] for row in csv.DictReader(stream)}
    except (OSError, KeyError, csv.Error):
        return []
    return sorted(entry.name for entry in path.iterdir() if entry.name not in ours)


def load_hint(path: str, result: Result) -> str:
    """Return the line of Python that loads one file."""
    return f'import torch; record = torch.load("{path}/NAME.pt"); NAME of each sequence: {path}/{INDEX}'


FORMAT = Format("esm-pt", (".pt",), write, read_record, load_hint, per_token=True, folder=True)
