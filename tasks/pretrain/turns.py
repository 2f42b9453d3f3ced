"""Processes that want to make the same thing at the same time: all but one wait, or give up."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.lock import OutputLock

_PAUSE = 0.1  # seconds between two looks at a lock


@contextmanager
def one_at_a_time(made: Path) -> Iterator[None]:
    """Let one process after the other work on a file or folder; whoever dies lets the next one in."""
    lock = _lock_of(made)
    while not _taken(lock):
        time.sleep(_PAUSE)
    with _released(lock):
        yield


@contextmanager
def alone(made: Path) -> Iterator[None]:
    """Work on a file or folder; OutputError where another process does so already."""
    lock = _lock_of(made)
    try:
        lock.__enter__()
    except OSError as error:
        raise OutputError(f"{made} cannot be written: {error.strerror}") from None
    with _released(lock):
        yield


def _lock_of(made: Path) -> OutputLock:
    """Return the lock of a file or folder, which lies beside it."""
    place = made.resolve()
    return OutputLock(place.with_name(f"{place.name}.lock"), made)


def _taken(lock: OutputLock) -> bool:
    """Take a lock, or tell that another process has it."""
    try:
        lock.__enter__()
    except OutputError:
        return False
    return True


@contextmanager
def _released(lock: OutputLock) -> Iterator[None]:
    """Remove the file of a lock in the end; those who look at it notice that it is gone."""
    try:
        yield
    finally:
        # not every system removes a file that is open
        with contextlib.suppress(OSError):
            lock.path.unlink(missing_ok=True)
        lock.__exit__(None, None, None)
