"""Stockholm alignments: interleaved blocks of `id  aligned sequence`, ended by `//`."""

from collections import Counter
from collections.abc import Iterator

from bio_xlstm.errors import InputError
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import numbered_lines

# a name, and how many rows of the same name stand above it in its block
Key = tuple[str, int]


def read_stockholm(raw: RawFile) -> Iterator[Record]:
    """Yield the sequences of one or several alignments, gaps kept; one alignment at a time is held in memory.

    Blank lines part the blocks. A name that repeats within a block names another sequence. `line` is that of
    the first piece of a sequence: a place in a later block is counted from there.
    """
    row = 0
    number = 0
    pieces: dict[Key, list[str]] = {}
    begin: dict[Key, int] = {}
    seen = Counter[str]()
    described: dict[str, str] = {}
    for number, line in numbered_lines(raw):
        if line.startswith("//"):
            for key, parts in pieces.items():
                name = key[0]
                fields = {"description": described[name]} if name in described else None
                yield Record(row, name, "".join(parts), begin[key], fields=fields)
                row += 1
            pieces, begin, described = {}, {}, {}
            seen.clear()
        elif line.startswith("#=GS"):
            words = line.split(None, 3)
            if len(words) == 4 and words[2] == "DE":
                described[words[1]] = words[3].strip()
        elif not line.strip():
            seen.clear()
        elif not line.startswith("#"):
            name, aligned = alignment_line(line, raw.name, number)
            key = name, seen[name]
            if seen[name] and len(aligned) != len(pieces[name, 0][-1]):
                raise InputError(
                    f"{raw.name} line {number}: the name {name!r} repeats within a block with another length; "
                    "blocks are parted by a blank line"
                )
            seen[name] += 1
            pieces.setdefault(key, []).append(aligned)
            begin.setdefault(key, number)
    if pieces:
        raise InputError(
            f"{raw.name} line {number}: the Stockholm alignment is cut off, its closing '//' is missing"
        )


def alignment_line(line: str, source: str, number: int) -> tuple[str, str]:
    """Split a line into name and aligned letters."""
    words = line.split()
    if len(words) != 2:
        raise InputError(
            f"{source} line {number}: expected a name and an aligned sequence, found {line.strip()[:30]!r}"
        )
    return words[0], words[1]
