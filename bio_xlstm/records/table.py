"""CSV and TSV, streamed; the delimiter is read from the header."""

import csv
import sys
from collections.abc import Iterator

from bio_xlstm.errors import InputError
from bio_xlstm.records.columns import choose_column, choose_id, split_header
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import numbered_lines

# what a header is split at when several would give as many columns
DELIMITER = {"csv": ",", "tsv": "\t"}

# a line of its own after the last one: when it is not read back alone, a quote was left open
END = "\x1e"


def table_rows(raw: RawFile, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) for every row; quoted cells may hold line breaks."""
    # the standard library stops at 131,072 characters per cell, a genome is longer
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))

    def fed() -> Iterator[str]:
        for _, line in numbered_lines(raw):
            yield line + "\n"
        yield END

    reader = csv.reader(fed(), delimiter=delimiter)
    line = 1
    for cells in reader:
        if cells == [END]:
            return
        if cells and cells[-1].endswith(END):
            raise InputError(f"{raw.name} line {line}: a quote is opened here and never closed")
        yield line, cells
        line = reader.line_num + 1


def table_header(raw: RawFile, prefer: str = ",") -> tuple[str, list[str]]:
    """Return the delimiter and the column names of a table."""
    first = next((line for _, line in numbered_lines(raw)), "")
    return split_header(first, prefer)


def read_table(raw: RawFile, *, kind: str | None, column: str | None, prefer: str) -> Iterator[Record]:
    """Yield one record per row, with all its cells in `fields`; one of a wrong length has status "error"."""
    delimiter, names = table_header(raw, prefer)
    chosen = choose_column(names, kind=kind, column=column, source=raw.name)
    identity = choose_id(names, chosen)
    rows = table_rows(raw, delimiter)
    next(rows, None)
    row = 0
    blank: list[int] = []
    for line, cells in rows:
        if not cells or (len(cells) == 1 and cells[0].isspace()):
            blank.append(line)
            continue
        for skipped in blank:
            yield Record(row, "", "", skipped)
            row += 1
        blank.clear()
        name = cells[identity].strip() if identity is not None and identity < len(cells) else ""
        fields = dict(zip(names, cells, strict=False))
        if detail := wrong_length(cells, names, chosen):
            yield Record(row, name, "", line, "error", f"line {line}: {detail}", fields)
        else:
            yield Record(row, name, cells[chosen].strip(), line, fields=fields)
        row += 1


def wrong_length(cells: list[str], names: list[str], chosen: int) -> str:
    """Say what is wrong with a row that lacks its sequence, or has cells that no column name covers."""
    if len(cells) <= chosen:
        return f"{len(cells)} of {len(names)} columns, {names[chosen]!r} is missing"
    if any(cells[len(names) :]):
        return f"{len(cells)} columns, the header has {len(names)}"
    return ""
