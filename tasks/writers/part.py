"""The part: the rows of one unit of work, as they lie in a part file and pass through every writer."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

GOOD = frozenset({"ok", "cleaned", "windowed"})  # the statuses of rows that have an embedding


class Row(NamedTuple):
    """Describe one record of the input: what happened to it, without its numbers."""

    row: int
    id: str
    length: int
    status: str
    detail: str

    @property
    def good(self) -> bool:
        """Tell whether the row has an embedding."""
        return self.status in GOOD


@dataclass(frozen=True)
class Part:
    """Hold N rows and their numbers: one array per column.

    Pooled columns are (N, D) with NaN where a row is not good; per-token columns are (sum of counts, D), where
    `counts` is the number of vectors of each row (0 where a row is not good).
    """

    rows: list[Row]
    counts: np.ndarray  # (N,) int64
    values: dict[str, np.ndarray]
    skipped: list[Row]  # rows that `--on-error skip` keeps out of the output, for the issues file

    @cached_property
    def offsets(self) -> np.ndarray:
        """Return where each row's vectors begin and end."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.counts)])  # (N + 1,)

    def good(self) -> np.ndarray:
        """Return which rows have an embedding."""
        return np.array([row.good for row in self.rows], bool)  # (N,)

    def numbers(self, name: str) -> np.ndarray:
        """Return `row` (int64) or `length` (int32) of all rows."""
        return np.array([getattr(row, name) for row in self.rows], np.int32 if name == "length" else np.int64)

    def texts(self, name: str) -> list[str]:
        """Return `id`, `status` or `detail` of all rows."""
        return [getattr(row, name) for row in self.rows]

    def facts(self) -> dict[str, int]:
        """Return what a writer must know about all parts before it reads the first."""
        everything = [*self.rows, *self.skipped]
        return {
            "rows": len(self.rows),
            "values": int(self.counts.sum()),
            "failed": sum(not row.good for row in everything),
            "issues": sum(row.status != "ok" for row in everything),
            "id_bytes": sum(len(row.id.encode()) for row in self.rows),
            "status_bytes": sum(len(row.status) for row in self.rows),
        }


_NAMES = ("rows", "values", "failed", "issues", "id_bytes", "status_bytes")


def sum_facts(facts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up the facts of parts."""
    every = list(facts)
    return {name: sum(one[name] for one in every) for name in _NAMES}


def write_part(part: Part, file: IO[bytes]) -> None:
    """Write a part as an uncompressed .npz: strings as JSON bytes, never objects."""
    text = json.dumps({"rows": part.rows, "skipped": part.skipped}).encode()
    columns = {f"v{i}": values for i, values in enumerate(part.values.values())}
    names = np.frombuffer(json.dumps(list(part.values)).encode(), np.uint8)
    arrays = {"text": np.frombuffer(text, np.uint8), "names": names, "counts": part.counts, **columns}
    np.savez(file, allow_pickle=False, **arrays)


def read_part(path: Path) -> Part:
    """Read a part file back."""
    with np.load(path, allow_pickle=False) as arrays:
        text = json.loads(arrays["text"].tobytes())
        names = json.loads(arrays["names"].tobytes())
        values = {name: arrays[f"v{i}"] for i, name in enumerate(names)}
        rows, skipped = ([Row(*row) for row in text[key]] for key in ("rows", "skipped"))
        return Part(list(rows), arrays["counts"], values, list(skipped))
