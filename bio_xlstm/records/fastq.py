"""FASTQ: `@id`, sequence, `+`, quality; also with sequence and quality wrapped over equally many lines."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from bio_xlstm.errors import InputError
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import numbered_lines

Line = tuple[int, str]

SEQUENCE = re.compile(r"[A-Za-z.*-]*\s*")


class Lines(Iterator[Line]):
    """Numbered lines, of which some can be put back."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._ahead = deque[Line]()
        self.skipped = 0

    def __next__(self) -> Line:
        return self._ahead.popleft() if self._ahead else next(self._lines)

    def put_back(self, lines: list[Line]) -> None:
        """Make these the next lines."""
        self._ahead.extendleft(reversed(lines))

    def find_opening(self, expected: int) -> Line | None:
        """Return the next line that plausibly opens a read, None at the end; count those skipped before it.

        At the line `expected` any `@` will do; only lines from there on count as skipped.
        """
        self.skipped = 0
        for line in self:
            if line[1].startswith("@"):
                following = list(islice(self, 2))
                self.put_back(following)
                if line[0] == expected or opens_read([text for _, text in following]):
                    return line
            self.skipped += line[0] >= expected and not line[1].isspace() and line[1] != ""
        return None


def opens_read(following: list[str]) -> bool:
    """Say whether the two lines after a line with `@` are a sequence and its `+` or second line."""
    if not following or not SEQUENCE.fullmatch(following[0]):
        return False
    if len(following) > 1 and following[1].startswith("+"):
        return True
    # a last read that is cut off, or a wrapped one
    return bool(following[0].strip()) and bool(SEQUENCE.fullmatch("".join(following[1:])))


def read_fastq(raw: RawFile) -> Iterator[Record]:
    """Yield the reads of a FASTQ file; broken ones have status "error", and reading goes on at the next `@`.

    Raise InputError when the first line is no `@` line.
    """
    lines = Lines(numbered_lines(raw))
    row = 0
    opening = next(lines, None)
    while opening is not None:
        number, header = opening
        if not header.strip():
            opening = next(lines, None)
            continue
        if header.startswith("@"):
            record, opening = read_one(row, opening, lines)
        elif row:
            opening = lines.find_opening(number + 1)
            detail = f"line {number}: a FASTQ record starts with '@', not {header[:30]!r}"
            record = Record(row, "", "", number, "error", detail + resumed(lines, opening))
        else:
            raise InputError(f"{raw.name} line {number}: a FASTQ record starts with '@', not {header[:30]!r}")
        yield record
        row += 1


def read_one(row: int, opening: Line, lines: Lines) -> tuple[Record, Line | None]:
    """Return the read that a line opens, and the line that opens the next one."""
    sequence, stop = take_sequence(lines)
    if stop is None or stop[1].startswith("@"):
        return broken(row, opening, "the FASTQ record is cut off"), stop
    quality = list(islice(lines, len(sequence)))
    letters = sum(len(line.rstrip("\r")) for line in sequence)
    scores = sum(len(line.rstrip("\r")) for _, line in quality)
    if letters == scores and len(quality) == len(sequence):
        name, fields = title(opening[1])
        return Record(row, name, "\n".join(sequence), opening[0] + 1, fields=fields), next(lines, None)
    # the next read may have been taken for the quality
    short = len(quality) < len(sequence)
    lines.put_back(quality)
    following = lines.find_opening(stop[0] + 1 + len(quality))
    if short and following is None:
        return broken(row, opening, "the FASTQ record is cut off"), None
    problem = f"the sequence has {letters} letters, its quality {scores}"
    return broken(row, opening, problem + resumed(lines, following)), following


def take_sequence(lines: Lines) -> tuple[list[str], Line | None]:
    """Return the sequence lines and the line that ends them: `+`, the next read's `@`, None at the end."""
    sequence: list[str] = []
    for number, line in lines:
        if line.startswith(("+", "@")):
            return sequence, (number, line)
        sequence.append(line)
    return sequence, None


def title(header: str) -> tuple[str, dict[str, str] | None]:
    """Split a header into id and description."""
    name, *rest = header[1:].split(None, 1) or [""]
    return name, {"description": rest[0].strip()} if rest else None


def broken(row: int, opening: Line, problem: str) -> Record:
    """Make the record of a read that cannot be used."""
    number, header = opening
    name, fields = title(header)
    return Record(row, name, "", number + 1, "error", f"line {number}: {problem}", fields)


def resumed(lines: Lines, opening: Line | None) -> str:
    """Say where reading goes on when lines were skipped."""
    if not lines.skipped:
        return ""
    return f"; reading goes on at line {opening[0]}" if opening else "; no read is found below"
