"""A file of points: what sequences are encoded to, kept from run to run, as encoding takes most of a prediction's time.

It is an SQLite database, so that several runs can use it at once, and a run that is killed leaves nothing torn.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError, InputError, OutputError
from bio_xlstm.in_context.learner import Learner

_FORMAT = "bioxlstm points 1"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS points (sequence BLOB PRIMARY KEY, point BLOB NOT NULL)",
)
# seconds that a run waits for another one's writing
_PATIENCE = 60.0


class PointFile:
    """Keep the points of one learner, in one precision; a file that is not there is made with the first of them."""

    def __init__(self, path: str, learner: Learner, dtype: str = "fp32") -> None:
        self.path, self.width = Path(path), learner.width
        self.facts = {
            "format": _FORMAT, "learner": learner.name, "weights": learner.weight_hash(), "dtype": dtype,
        }  # fmt: skip

    def check(self) -> None:
        """Refuse what cannot be used before anything is computed; nothing is made or changed.

        ConfigError where the file was made by another learner or in another precision, InputError where it is no file
        of points, OutputError where it cannot be made.
        """
        if self.path.exists():
            with self._said(), closing(self._connect("rw")) as database:
                if not _is_empty(database):
                    self._compare(database)
        elif not self.path.resolve().parent.is_dir():
            raise OutputError(f"{self.path}: there is no folder {self.path.resolve().parent}")

    def encode(self, sequences: Sequence[str], compute: Callable[[Sequence[str]], Tensor]) -> Tensor:
        """Return points (N, W) of sequences (N) as they are spelled for the learner; `compute` what is missing."""
        keys = [blake2b(sequence.encode(), digest_size=20).digest() for sequence in sequences]
        with self._said():
            found = {key: point for key in dict.fromkeys(keys) if (point := self._point(key)) is not None}
        missing = {key: one for key, one in zip(keys, sequences, strict=True) if key not in found}
        if missing:
            points = compute(list(missing.values())).cpu().numpy()
            found |= (new := {key: point.tobytes() for key, point in zip(missing, points, strict=True)})
            with self._said(), self._database:
                # one transaction; another run may have added the same
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany("INSERT OR IGNORE INTO points VALUES (?, ?)", new.items())
        rows = np.frombuffer(b"".join(found[key] for key in keys), np.uint8)
        return torch.from_numpy(rows.reshape(len(keys), self.width).copy())

    def _point(self, key: bytes) -> bytes | None:
        """Return the bytes of one point; None where there is none."""
        row = self._database.execute("SELECT point FROM points WHERE sequence = ?", (key,)).fetchone()
        if row is None:
            return None
        if not isinstance(row[0], bytes) or len(row[0]) != self.width:
            raise self._wrong("a point has another size")
        return row[0]

    @cached_property
    def _database(self) -> sqlite3.Connection:
        """Open the file, or make it."""
        with self._said():
            database = self._connect("rwc")
            # a full file may be one that can only be read
            if _is_empty(database):
                with database:
                    database.execute("BEGIN IMMEDIATE")
                    for statement in _TABLES:
                        database.execute(statement)
                    database.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", self.facts.items())
            self._compare(database)
        return database

    def _connect(self, mode: str) -> sqlite3.Connection:
        """Connect to the file: for reading and writing ("rw"), or so that it is made as well ("rwc")."""
        where = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(where, uri=True, timeout=_PATIENCE, isolation_level=None)

    def _compare(self, database: sqlite3.Connection) -> None:
        """Refuse a file that holds something else than is wanted."""
        kept = {name: str(value) for name, value in database.execute("SELECT name, value FROM facts")}
        if kept.get("format") != _FORMAT or not kept.keys() >= self.facts.keys():
            raise self._wrong("it does not say what it holds")
        if [column[1] for column in database.execute("PRAGMA table_info(points)")] != ["sequence", "point"]:
            raise self._wrong("it has no table of points")
        if kept["weights"] != self.facts["weights"] and kept["learner"] == self.facts["learner"]:
            raise ConfigError(
                f"--points {self.path} was made by another version of {kept['learner']} "
                f"({kept['weights'][:12]}, not {self.facts['weights'][:12]}): delete it, or name another file"
            )
        if kept["weights"] != self.facts["weights"]:
            raise ConfigError(
                f"--points {self.path} holds points of {kept['learner']} ({kept['weights'][:12]}), not of "
                f"{self.facts['learner']} ({self.facts['weights'][:12]}): give each learner a file of its own"
            )
        if kept["dtype"] != self.facts["dtype"]:
            raise ConfigError(
                f"--points {self.path} was computed with --dtype {kept['dtype']}, not {self.facts['dtype']}"
            )

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Turn what the database says into the user's words."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "no such" in str(error) or "decode" in str(error):
                raise self._wrong(str(error)) from None
            if "locked" in str(error):
                raise OutputError(
                    f"--points {self.path} was held by another run for {_PATIENCE:.0f} seconds; repeat the command "
                    "later: finished work is kept"
                ) from None
            raise OutputError(f"--points {self.path} cannot be written: {error}") from error
        except sqlite3.DatabaseError as error:
            raise self._wrong(str(error)) from None

    def _wrong(self, reason: str) -> InputError:
        """Say that the file is none of points."""
        return InputError(f"--points {self.path} is no file of points, or a damaged one ({reason})")


def _is_empty(database: sqlite3.Connection) -> bool:
    """Tell whether a database holds nothing at all."""
    count: int = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not count
