"""Files of states: never over another file unasked, with their provenance beside them."""

from collections.abc import Callable
from pathlib import Path

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.files.places import check_place
from bio_xlstm.tasks.journal import store_file
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers.result import beside_record
from bio_xlstm.tasks.writing import writing

COMMAND = "state build"


def check_new(source: str, target: str, *, overwrite: bool) -> None:
    """Refuse a place for a state that is no file's, or another file's; `source` is what the state is read from."""
    if target == "-":
        raise OutputError("a state goes to a file, not to standard output; give -o a name")
    check_place(source, target, COMMAND, overwrite)
    if Path(target).exists() and not overwrite:
        raise OutputError(f"{target} exists; use --overwrite to replace it")


def store_state(output: Path, save: Callable[[Path], None], provenance: Provenance, **counts: int) -> None:
    """Write a state, which appears under its name when it is complete, and beside it how it was made."""
    record = provenance.to_json(**counts) + "\n"
    with writing(output):
        store_file(beside_record(output), lambda file: file.write(record.encode()))
        beside = output.with_name(output.name + ".tmp")
        save(beside)
        beside.replace(output)
