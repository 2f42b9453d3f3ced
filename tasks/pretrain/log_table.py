"""The log of a run as a table: one CSV file that grows by a row now and then."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


class LogTable:
    """Append rows to a CSV file whose first column is the step."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, ["step", *columns]

    def begin(self, step: int) -> None:
        """Take back the rows after the step that a run goes on from, and write the header of a new file."""
        rows = [row for row in read_rows(self.path) if int(row["step"]) <= step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.partial")
        with open(partial, "w", newline="") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(partial, self.path)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row; columns without a value stay empty."""
        with open(self.path, "a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow({"step": step, **values})


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the complete rows of a table; a line that was cut off by a kill is none."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return list(csv.DictReader(line for line in lines if line.endswith("\n")))
