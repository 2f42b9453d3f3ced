"""What to do about an output that already stands: recognise it as this very run's, or refuse to replace it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.provenance import Provenance, differences

ReadProvenance = Callable[[Path], Mapping[str, Any] | None]


def finished_record(
    output: Path, provenance: Provenance, read: ReadProvenance, overwrite: bool
) -> Mapping[str, Any] | None:
    """Return the record of a complete output of this very run, None when there is work to do.

    Raises OutputError when the output stands but comes from elsewhere, from other settings or from another input.
    """
    if overwrite or not output.exists():
        return None
    record = read(output)
    if record is None:
        raise OutputError(
            f"{output} exists and was not written by this command; use --overwrite to replace it"
        )
    changed = differences(record["settings"], provenance.settings(), provenance.input)
    if changed:
        raise OutputError(f"{output} exists but {'; '.join(changed)}; use --overwrite to replace it")
    return record
