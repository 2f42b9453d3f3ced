"""CSV and TSV, streamed; the delimiter is read from the header."""

import csv
from collections.abc import Collection, Iterator
from typing import NamedTuple

from bio_xlstm.errors import InputError
from bio_xlstm.records.columns import allow_long_cells, choose_column, choose_id, split_header
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import numbered_lines

# what a header is split at when several would give as many columns
DELIMITER = {"csv": ",", "tsv": "\t"}

# a line of its own after the last one: when it is not read back alone, a quote was left open
END = "\x1e"


def table_rows(raw: RawFile, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield (first line, last line, cells) for every row; quoted cells may hold line breaks.

    Raise InputError for a quote that is never closed and for a carriage return outside of quotes.
    """

    def fed() -> Iterator[str]:
        for _, line in numbered_lines(raw):
            yield line + "\n"
        yield END

    allow_long_cells()
    reader = csv.reader(fed(), delimiter=delimiter)
    line = 1
    try:
        for cells in reader:
            if cells == [END]:
                return
            if cells and cells[-1].endswith(END):
                raise InputError(f"{raw.name} line {line}: a quote is opened here and never closed")
            yield line, reader.line_num, cells
            line = reader.line_num + 1
    except csv.Error:
        raise bare_return(raw.name, reader.line_num) from None


def bare_return(name: str, line: int) -> InputError:
    """Name the line of the one thing that the csv module refuses."""
    return InputError(
        f"{name} line {line}: a carriage return stands inside an unquoted cell; quote the cell or end the line"
    )


class Header(NamedTuple):
    """The first line of a table that is not blank."""

    line: int
    delimiter: str
    names: list[str]


def table_header(raw: RawFile, prefer: str = ",") -> Header:
    """Read the delimiter and the column names of a table."""
    number, text = next(((n, line) for n, line in numbered_lines(raw) if line.strip()), (1, ""))
    try:
        return Header(number, *split_header(text, prefer))
    except csv.Error:
        raise bare_return(raw.name, number) from None


def read_table(raw: RawFile, *, kind: str | None, column: str | None, prefer: str) -> Iterator[Record]:
    """Yield one record per row, with all its cells in `fields`; one of a wrong length has status "error"."""
    header, delimiter, names = table_header(raw, prefer)
    chosen = choose_column(names, kind=kind, column=column, source=raw.name)
    identity = choose_id(names, chosen)
    # nobody quotes tabs and line breaks at once; with other delimiters a remark may hold both, but no name
    within = None if delimiter == "\t" else {chosen, identity}
    row = 0
    blank: list[int] = []
    for line, last, cells in table_rows(raw, delimiter):
        if last > line:
            refuse_swallowed(cells, None if line <= header else within, delimiter, f"{raw.name} line {line}")
        if line <= header:
            continue
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


def refuse_swallowed(cells: list[str], within: Collection[int | None] | None, mark: str, place: str) -> None:
    """Raise InputError for a cell that holds a line break and a delimiter: whole rows between stray quotes.

    `within` are the columns to look at, None stands for all.
    """
    for index, cell in enumerate(cells):
        if (within is None or index in within) and "\n" in cell and mark in cell:
            below = cell.count("\n")
            raise InputError(
                f"{place}: a quote opened here is closed only {below} line{'s' * (below > 1)} below, around "
                "whole rows; remove both quotes"
            )


def wrong_length(cells: list[str], names: list[str], chosen: int) -> str:
    """Say what is wrong with a row that lacks its sequence, or has cells that no column name covers."""
    if len(cells) <= chosen:
        return f"{len(cells)} of {len(names)} columns, {names[chosen]!r} is missing"
    if any(cells[len(names) :]):
        return f"{len(cells)} columns, the header has {len(names)}"
    return ""
