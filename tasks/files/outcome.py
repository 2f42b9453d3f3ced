"""How a run ended, in three lines: where the result is, what shape it has, how to load it."""

from pathlib import Path
from typing import NamedTuple

from bio_xlstm.tasks.progress import size
from bio_xlstm.tasks.writers.issues import issues_path
from bio_xlstm.tasks.writers.result import Format, RowResult


class Outcome(NamedTuple):
    """Say how a run ended: how many rows, how many of them without a result, and the lines for the user."""

    rows: int
    failed: int
    lines: tuple[str, ...]


def describe_file(result: RowResult, form: Format, output: Path) -> Outcome:
    """Describe an output that lies in a file or folder."""
    files = [path for path in output.rglob("*") if path.is_file()] if output.is_dir() else [output]
    lines = (
        f"wrote {output} ({form.name}, {size(sum(path.stat().st_size for path in files))})",
        _shape(result) + _issues(result, f"see {issues_path(output)}"),
        _load(result, form.load_hint(str(output), result)),
    )
    return Outcome(result.facts["rows"], result.facts["failed"], lines)


def describe_table(result: RowResult) -> Outcome:
    """Describe what went to standard output."""
    lines = (
        "wrote to standard output",
        _shape(result) + _issues(result, "status and detail say why"),
        _load(result, "import pyarrow.csv, sys; table = pyarrow.csv.read_csv(sys.stdin.buffer)"),
    )
    return Outcome(result.facts["rows"], result.facts["failed"], lines)


def _shape(result: RowResult) -> str:
    rows = "1 row" if result.facts["rows"] == 1 else f"{result.facts['rows']:,} rows"
    return f"{rows}, {result.content}"


def _load(result: RowResult, hint: str) -> str:
    """Say how to load the result, or that there is nothing in it to load."""
    if result.facts["rows"] and result.facts["failed"] == result.facts["rows"]:
        return f"no row has {result.noun}: is the file of the kind named above (--kind, --column, --input-format)?"
    return f"load: {hint}"


def _issues(result: RowResult, where: str) -> str:
    issues, failed = result.facts["issues"], result.facts["failed"]
    if not issues:
        return ""
    return f"; {_rows(issues)} not plainly ok, {failed:,} without {result.noun}: {where}"


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"
