"""What the system says about a file that cannot be written, in the user's words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bio_xlstm.errors import OutputError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Turn an OSError into an OutputError that names the output and the file that could not be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        hint = (
            "; make room, then repeat the command: finished work is kept" if error.errno in _NO_ROOM else ""
        )
        raise OutputError(f"{output} cannot be written: {reason}{where}{hint}") from error
