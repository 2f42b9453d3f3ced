"""Read the files of a domain: one sequence after the other, with the set, the region and the part it belongs to."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bio_xlstm.errors import InputError
from bio_xlstm.homologs import sequence_weights
from bio_xlstm.records import Record, open_records
from bio_xlstm.records.alignment import read_alignment
from bio_xlstm.tasks.pretrain.data_settings import Domain
from bio_xlstm.tasks.pretrain.parts import UNDECIDED
from bio_xlstm.tasks.pretrain.regions import DomainRegions
from bio_xlstm.tasks.pretrain.token_store import Piece
from bio_xlstm.tokenizers import Tokenizer

# carbon that is no other element's first letter
_CARBON = re.compile("C(?![adeflmorsu])|c")
_LOWER = ord("a")
_NOT_LETTERS = bytes(byte for byte in range(256) if not chr(byte).isascii() or not chr(byte).isalpha())


class Found(NamedTuple):
    """Hold a sequence as read, and what it was made from."""

    piece: Piece
    text: str
    part: int = UNDECIDED  # the part that a file of regions gives it


class Reader:
    """Read domains one after the other; `counts` tells what became of the records of each."""

    def __init__(self, kind: str, tokenizer: Tokenizer, data: Path, *, case: bool) -> None:
        self.kind, self.tokenizer, self.data = kind, tokenizer, data
        self.case = case  # whether lower case is kept
        self.counts: Counter[tuple[str, str]] = Counter()  # by domain, and "read" or what is wrong
        self.examples: dict[str, str] = {}  # what is wrong with the first unreadable record of a domain
        self.sets: dict[tuple[int, str], int] = {}  # number of every set, by domain and name

    def read(self, number: int, domain: Domain) -> Iterator[Found]:
        """Yield the sequences of a domain; records that cannot be tokenised are counted."""
        paths = expand(self.data, domain)
        limit = domain.limit // len(paths) if domain.limit else 0
        if domain.regions:
            yield from self._regions(number, domain, paths, limit)
            return
        for path in paths:
            for text, name, share in self._texts(path, domain, limit):
                self.counts[domain.name, "read"] += 1
                prepared = self.tokenizer.prepare(text)
                if not len(prepared.ids):
                    self._leave_out(domain, prepared.status, prepared.detail)
                    continue
                soft = self._soft(text, len(prepared.ids))
                belongs = self.sets.setdefault((number, name), len(self.sets)) if name else -1
                yield Found(Piece(prepared.ids, number, set=belongs, share=share, soft=soft), text)

    def _leave_out(self, domain: Domain, status: str, detail: str) -> None:
        """Count a record that cannot be read."""
        self.counts[domain.name, status] += 1
        self.examples.setdefault(domain.name, detail)

    def _records(self, path: Path, domain: Domain, limit: int) -> Iterator[Record]:
        """Yield the good records of a file, and count the others."""
        for record in _evenly_read(path, self.kind, limit):
            if record.status == "ok":
                yield record
            else:
                self.counts[domain.name, "read"] += 1
                self._leave_out(domain, record.status, record.detail)

    def _texts(self, path: Path, domain: Domain, limit: int) -> Iterator[tuple[str, str, float]]:
        """Yield the texts of a file, each with the name of its set and its share in an epoch."""
        if domain.sets == "file" and self.kind == "protein":
            yield from _family(path, limit)
            return
        for record in self._records(path, domain, limit):
            if domain.sets == "line":
                for text in members(record):
                    yield text, f"{path} {record.row}", 1.0
            elif domain.sets == "column":
                yield record.text, set_name(record, domain.set_column, path), 1.0
            else:
                yield record.text, str(path) if domain.sets == "file" else "", 1.0

    def _regions(self, number: int, domain: Domain, paths: list[Path], limit: int) -> Iterator[Found]:
        """Yield the regions of a domain's sequences."""
        regions = DomainRegions(self.data / domain.regions, domain.name, with_parts=domain.region_split)
        for record in (record for path in paths for record in self._records(path, domain, limit)):
            if record.id not in regions:
                continue
            ids, soft = self._whole(record), None
            if self.case:
                soft = self._soft(record.text, len(ids))
            for region in regions.of(record.id, len(ids)):
                self.counts[domain.name, "read"] += 1
                begin, end = region.begin, region.end
                marked = None if soft is None else soft[begin:end]
                piece = Piece(ids[begin:end], number, begin == 0, end == len(ids), soft=marked)
                yield Found(piece, "", region.part)
        regions.check_all_found()

    def _whole(self, record: Record) -> np.ndarray:
        """Return the ids of a sequence whose places count."""
        ids: np.ndarray = self.tokenizer.prepare(record.text).ids
        if len(ids) != len(record.text) - sum(record.text.count(end) for end in "\r\n"):
            raise InputError(
                f"sequence {record.id!r} holds symbols that are no bases: its regions are unclear"
            )
        return ids

    def _soft(self, text: str, count: int) -> np.ndarray | None:
        """Tell which letters of a text are lower case."""
        if not self.case:
            return None
        letters = text.encode("latin-1", "replace").translate(None, _NOT_LETTERS)
        assert len(letters) == count
        return np.frombuffer(letters, np.uint8) >= _LOWER


def expand(data: Path, domain: Domain) -> list[Path]:
    """Return the files of a domain, patterns replaced by what they fit, sorted."""
    paths: list[Path] = []
    for name in domain.files:
        found = sorted(data.glob(name)) if "*" in name else []
        paths += [existing(path, domain) for path in found or [data / name]]
    return paths


def existing(path: Path, domain: Domain) -> Path:
    """Return a path where a file of a domain lies; InputError where none does."""
    if path.is_dir():
        inside = (path.name and path / "*") or "*"
        raise InputError(
            f"{path} (domain {domain.name!r}) is a folder; name the files in it, as in {str(inside)!r}"
        )
    if not path.is_file():
        raise InputError(f"{path} (domain {domain.name!r}) does not exist; name the data folder with --data")
    return path


def members(record: Record) -> list[str]:
    """Return the molecules of a line: parted by blanks, or by dots where there are none.

    Dots also part the ions of a salt. An ion stays with the ion before it that it balances; an acid or water without
    carbon with the molecule before it, or after it at the beginning.
    """
    words = [record.text, *record.id.split()]
    return words if len(words) > 1 else _mended(record.text.split("."))


def _mended(parts: Iterable[str]) -> list[str]:
    """Join the parts of salts."""
    molecules: list[str] = []
    for part in filter(None, parts):
        last = molecules[-1] if molecules else "C"
        charge = _charge(part)
        acid = not charge and not _CARBON.search(part)
        if molecules and (acid or charge * _charge(last) < 0 or not _CARBON.search(last)):
            molecules[-1] += f".{part}"
        else:
            molecules.append(part)
    return molecules


def _charge(smiles: str) -> int:
    """Add up the charges in brackets: [N+], [O-], [Ca+2], [Ca++]."""
    found = re.findall(r"\[[^\]]*?(\++|-+)(\d*)(?::\d+)?\]", smiles)
    sizes = [int(number) if number else len(signs) for signs, number in found]
    return sum(size if signs[0] == "+" else -size for size, (signs, _) in zip(sizes, found, strict=True))


def set_name(record: Record, column: str, path: Path) -> str:
    """Return the name of the set that a record belongs to, "" for none."""
    fields = {"id": record.id, **(record.fields or {})}
    if column.isdecimal():
        words = [record.id, *fields.get("description", "").split()]
        return words[int(column) - 1] if 0 < int(column) <= len(words) else ""
    if column not in fields:
        raise InputError(f"{path}: a record has no {column!r} to name its set; it has {', '.join(fields)}")
    return fields[column]


def _family(path: Path, limit: int) -> Iterator[tuple[str, str, float]]:
    """Yield the homologs of a family, each shown as rarely as it is redundant."""
    family = read_alignment(path)
    weights = np.ones(len(family.ids)) if family.columns is None else sequence_weights(family.columns)
    for row in np.flatnonzero(_evenly(len(family.ids), limit)).tolist():
        yield family.sequences[row], str(path), float(weights[row])


def _evenly_read(path: Path, kind: str, limit: int) -> Iterator[Record]:
    """Yield the records of a file, or about `limit` of them spread evenly."""
    if not limit:
        yield from open_records(path, kind=kind)
        return
    total = sum(1 for _ in open_records(path, kind=kind))
    kept = _evenly(total, limit)
    yield from (record for record in open_records(path, kind=kind) if kept[record.row])


def _evenly(total: int, limit: int) -> np.ndarray:
    """Mark about `limit` of that many rows, spread evenly; (total,) bool."""
    if not limit or limit >= total:
        return np.ones(total, bool)
    # keeps row r when floor(r * limit / total) rises
    return np.diff(np.arange(total + 1) * limit // total) > 0
