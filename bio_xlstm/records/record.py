"""The record: one sequence or molecule of an input file, and where it stands in that file."""

from collections.abc import Mapping
from typing import NamedTuple


class Record(NamedTuple):
    """One row of an input.

    `row` counts from 0 and is the key of the record; `id` may repeat or be empty. `text` is the sequence
    as written, with its inner line breaks. `line` is the number (from 1) of the line on which `text` begins,
    0 if the format has no lines. `status` is "ok" unless the reader itself finds something wrong, which
    `detail` then tells. `fields` holds what else a text format says: description, cells of the row, data items.
    """

    row: int
    id: str
    text: str
    line: int
    status: str = "ok"
    detail: str = ""
    fields: Mapping[str, str] | None = None


def place(record: Record, position: int) -> tuple[int, int]:
    """Return the (line, column), both from 1, of offset `position` of `record.text`.

    The line is 0 when the format has no lines (Parquet). For a table the column counts within the cell.

    >>> place(Record(row=0, id="P1", text="MKT\\nA1L", line=2), 5)
    (3, 2)
    """
    line = record.line + record.text.count("\n", 0, position) if record.line else 0
    return line, position - record.text.rfind("\n", 0, position)
