"""BED files: regions of sequences, counted from 0, the end not included."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from bio_xlstm.errors import InputError
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.text import numbered_lines

_REMARKS = ("#", "track", "browser")


class Region(NamedTuple):
    """Hold one line of a BED file."""

    sequence: str
    begin: int
    end: int
    name: str  # fourth column, "" where there is none
    line: int


def read_bed(path: str | os.PathLike[str]) -> Iterator[Region]:
    """Yield the regions of a BED file, compressed or not; InputError names the line that is none."""
    raw = RawFile(path)
    for number, line in numbered_lines(raw):
        if not line.strip() or line.startswith(_REMARKS):
            continue
        columns = line.rstrip("\r").split("\t") if "\t" in line else line.split()
        where = [int(word) for word in columns[1:3] if word.isdecimal()]
        if len(where) < 2 or where[0] >= where[1]:
            raise InputError(
                f"{raw.name} line {number}: expected a sequence, a begin and a later end, found {line[:40]!r}"
            )
        yield Region(columns[0], where[0], where[1], columns[3] if len(columns) > 3 else "", number)
