"""What to do about an output that already stands: recognise it as this very run's, or refuse to replace it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.provenance import Provenance

ReadProvenance = Callable[[Path], Mapping[str, Any] | None]


def finished_record(
    output: Path, provenance: Provenance, read: ReadProvenance, overwrite: bool, *, folder: bool = False
) -> Mapping[str, Any] | None:
    """Return the record of a complete output of this very run, None when there is work to do.

    Raises OutputError when the output stands but comes from elsewhere, from other settings or from another input.
    `overwrite` allows to replace a file, but a folder only where the format is a folder and it is one of ours.
    """
    if not output.exists():
        return None
    record = None if output.is_dir() and not folder else read(output)
    if record is None and output.is_dir():
        raise OutputError(
            f"{output} is a folder that was not written by this command and will not be replaced; "
            "give the output another name"
        )
    if overwrite:
        return None
    if record is None:
        raise OutputError(
            f"{output} exists and was not written by this command; use --overwrite to replace it"
        )
    changed = provenance.differences(record)
    if changed:
        raise OutputError(f"{output} exists but {'; '.join(changed)}; use --overwrite to replace it")
    return record
