"""The journal of every command that processes files: a killed run goes on where it stopped.

Work is cut into units that depend on the input and the options alone. A finished unit is one part file, written
beside the output in OUTPUT.parts, moved to its name when complete, and then noted in journal.jsonl with its hash.
Started again with the same command, a run skips the units whose parts are whole and does the others.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.device import BACKEND_NAMES
from bio_xlstm.tasks.lock import OutputLock
from bio_xlstm.tasks.parts_folder import JOURNAL, LOCK, clear, drop, parts_folder, refuse_foreign, remove
from bio_xlstm.tasks.provenance import Provenance, decode
from bio_xlstm.tasks.writing import writing


class Part(NamedTuple):
    """Point at the finished part of one unit, with the facts that its writer noted about it."""

    path: Path
    facts: Mapping[str, int]


class Journal:
    """Record finished units beside an output; use as a context manager, which holds the lock on the output.

    Raises OutputError when another run writes the same output, when parts of other settings or of another input
    are found and neither `overwrite` nor `resume=False` allows to discard them, when OUTPUT.parts holds files of
    somebody else, and when the system refuses to write.

    Example::

        with Journal(Path("out.parquet"), provenance) as journal:
            for number, unit in enumerate(units):
                if number not in journal.parts:
                    journal.add(number, lambda file: file.write(work(unit)), {"rows": len(unit)})
            journal.finish(write_final_file)
    """

    def __init__(
        self, output: Path, provenance: Provenance, *, resume: bool = True, overwrite: bool = False
    ) -> None:
        self.output = output
        self.provenance = provenance  # replaced by the first run's when this one continues it
        self.folder = parts_folder(output)
        self.parts: dict[int, Part] = {}
        self._resume, self._overwrite = resume, overwrite
        self._lock = OutputLock(self.folder / LOCK, output)
        self._file: IO[str] | None = None

    def __enter__(self) -> "Journal":
        """Take the lock, then take up the parts of an earlier run or begin a new journal."""
        with writing(self.output):
            self._lock.__enter__()
            try:
                self._refuse_foreign()
                if not (self._resume and self._continue()):
                    self._begin()
            except BaseException:
                self._lock.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the journal and let the lock go; the parts stay unless `finish` removed them."""
        if self._file is not None:
            self._file.close()
        self._lock.__exit__(kind, error, trace)

    def add(self, number: int, write: Callable[[IO[bytes]], object], facts: Mapping[str, int]) -> None:
        """Store the part of a unit safely, then note it: after this call no kill can lose it."""
        path = self._part_path(number)
        assert self._file is not None, "add() outside of the with block"
        with writing(self.output):
            store_file(path, write)
            line = {"unit": number, "sha256": file_hash(path), "facts": dict(facts)}
            append_line(self._file, json.dumps(line, sort_keys=True))
        self.parts[number] = Part(path, facts)

    def ordered(self) -> list[Part]:
        """Return all parts in the order of their units."""
        return [self.parts[number] for number in sorted(self.parts)]

    def total(self, fact: str) -> int:
        """Sum one fact over all finished units."""
        return sum(part.facts[fact] for part in self.parts.values())

    def finish(self, write: Callable[[Path], None]) -> None:
        """Assemble the output beside its place, move it there, and remove the parts."""
        beside = self.folder / f"final{''.join(self.output.suffixes[-2:])}"
        with writing(self.output):
            remove(beside)
            write(beside)
            flush(beside)
            if beside.is_dir():
                remove(self.output)  # a folder cannot replace another in one step
            os.replace(beside, self.output)  # a file never replaces a folder
            flush(self.output.parent)
            drop(self.folder)

    def _part_path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}"

    def _refuse_foreign(self) -> None:
        """Leave a folder of somebody else as it was found."""
        try:
            refuse_foreign(self.folder)
        except OutputError:
            if not (self.folder / JOURNAL).exists():
                self._lock.path.unlink()
            raise

    def _begin(self) -> None:
        """Discard the parts that lie in the folder and write the header of a new journal."""
        self.parts = {}
        clear(self.folder)
        header = self.provenance.to_json() + "\n"
        store_file(self.folder / JOURNAL, lambda file: file.write(header.encode()))
        self._file = (self.folder / JOURNAL).open("a", encoding="utf-8")

    def _continue(self) -> bool:
        """Take up an earlier run of the same settings; False when there is nothing to take up."""
        path = self.folder / JOURNAL
        if not path.exists():
            return False
        lines, whole = whole_lines(path)
        header = decode(lines[0]) if lines else None
        if header is None:
            return False
        changed = self.provenance.differences(header)
        if changed:
            if self._overwrite:
                return False
            raise OutputError(
                f"{'; '.join(changed)} since {self.folder} was begun; "
                f"use --overwrite to start afresh, or {self._way_on(header)} to continue it"
            )
        os.truncate(path, whole)  # a torn last line would swallow the next one
        self.provenance = Provenance.from_record(header)
        for line in lines[1:]:
            self._take_up(line)
        self._file = path.open("a", encoding="utf-8")
        return True

    def _way_on(self, header: Mapping[str, Any]) -> str:
        """Say how the command that began the journal is repeated."""
        before, now = (
            settings.get("--backend", "") for settings in (header["settings"], self.provenance.settings())
        )
        # auto may have come to something else since: kernels that were not installed, or had not been tested yet
        named = before != now and before in BACKEND_NAMES
        return (
            f"repeat the earlier command with --backend {before}" if named else "repeat the earlier command"
        )

    def _take_up(self, line: str) -> None:
        """Trust a noted part only when its bytes are the noted ones; otherwise its unit is done again."""
        try:
            entry: dict[str, Any] = json.loads(line)
            path = self._part_path(entry["unit"])
            if path.exists() and file_hash(path) == entry["sha256"]:
                self.parts[entry["unit"]] = Part(path, entry["facts"])
        except (ValueError, KeyError, TypeError):
            return


def whole_lines(path: Path) -> tuple[list[str], int]:
    """Return the complete lines of a file and the number of bytes they take; a torn last line is left out."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    return data[:whole].decode("utf-8", "replace").split("\n")[:-1], whole


def append_line(file: IO[str], line: str) -> None:
    """Append a line and wait until it is on the disk."""
    file.write(line + "\n")
    file.flush()
    os.fsync(file.fileno())


def store_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file that appears under its name only when it is complete and on the disk."""
    beside = path.with_name(path.name + ".tmp")
    with beside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_hash(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
