"""OUTPUT.issues.csv: every row that is not plainly ok, with the reason in the user's words."""

import csv
import io
from pathlib import Path
from typing import IO

from bio_xlstm.tasks.journal import store_file
from bio_xlstm.tasks.writers.part import Row
from bio_xlstm.tasks.writers.result import RowResult


def issues_path(output: Path) -> Path:
    """Return the name of the issues file of an output."""
    return output.with_name(output.name + ".issues.csv")


def store_issues(result: RowResult, output: Path) -> None:
    """Write the issues of all parts in the order of the rows, or remove an older file when there are none."""
    if result.facts["issues"]:
        store_file(issues_path(output), lambda file: _write(result, file))
    else:
        issues_path(output).unlink(missing_ok=True)


def _write(result: RowResult, file: IO[bytes]) -> None:
    stream = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(Row._fields)
    for part in result:
        rows = [row for row in part.rows + part.skipped if row.status != "ok"]
        rows.sort(key=lambda row: row.row)
        writer.writerows(rows)
    stream.flush()
    stream.detach()  # the caller closes the file
