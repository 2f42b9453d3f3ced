"""FASTQ: `@id`, sequence, `+`, quality; also with sequence and quality wrapped over equally many lines."""

from collections.abc import Iterator

from bio_xlstm.errors import InputError
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import numbered_lines

Line = tuple[int, str]


def read_fastq(raw: RawFile) -> Iterator[Record]:
    """Yield the reads of a FASTQ file; one that is cut off or has a wrong quality has status "error"."""
    lines = iter(numbered_lines(raw))
    row = 0
    opening = next(lines, None)
    while opening is not None:
        number, header = opening
        if not header.strip():
            opening = next(lines, None)
            continue
        if not header.startswith("@"):
            raise InputError(f"{raw.name} line {number}: a FASTQ record starts with '@', not {header[:30]!r}")
        sequence, stop = take_sequence(lines)
        if stop is not None and stop[1].startswith("+"):
            yield fastq_record(row, opening, sequence, lines)
            opening = next(lines, None)
        else:
            yield cut_off(row, opening)
            opening = stop
        row += 1


def take_sequence(lines: Iterator[Line]) -> tuple[list[str], Line | None]:
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


def fastq_record(row: int, opening: Line, sequence: list[str], lines: Iterator[Line]) -> Record:
    """Read the quality, as many lines as the sequence has, and make the record."""
    number, header = opening
    name, fields = title(header)
    quality = [line for _, (_, line) in zip(sequence, lines, strict=False)]
    if len(quality) < len(sequence):
        return cut_off(row, opening)
    letters = sum(len(line.rstrip("\r")) for line in sequence)
    scores = sum(len(line.rstrip("\r")) for line in quality)
    if letters != scores:
        detail = f"line {number}: the sequence has {letters} letters, its quality {scores}"
        return Record(row, name, "", number + 1, "error", detail, fields)
    return Record(row, name, "\n".join(sequence), number + 1, fields=fields)


def cut_off(row: int, opening: Line) -> Record:
    """Make the record of a read that the end of the file, or the next read, interrupts."""
    number, header = opening
    name, fields = title(header)
    return Record(row, name, "", number + 1, "error", f"line {number}: the FASTQ record is cut off", fields)
