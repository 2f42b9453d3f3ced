"""Plain lines: one DNA, RNA or protein sequence per line, without names."""

from collections.abc import Iterator

from bio_xlstm.records.columns import normal
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import numbered_lines


def read_lines(raw: RawFile) -> Iterator[Record]:
    """Yield one record per line; inner blank lines are empty records, those at the end are none."""
    row = 0
    blank: list[int] = []
    for number, line in numbered_lines(raw):
        if number == 1 and is_heading(line):
            continue
        if not line or line.isspace():
            blank.append(number)
            continue
        for skipped in blank:
            yield Record(row, "", "", skipped)
            row += 1
        blank.clear()
        yield Record(row, "", line.rstrip("\r"), number)
        row += 1


def is_heading(line: str) -> bool:
    """Tell a heading such as "sequence" from a peptide: SEQ in capitals is one."""
    return normal(line) in ("sequence", "sequences", "seq") and line.strip() != "SEQ"
