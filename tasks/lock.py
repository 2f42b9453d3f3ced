"""A lock that the operating system drops when its holder dies, however it dies."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from bio_xlstm.errors import OutputError

# how often other runs may end between two looks; folders such as those of /proc never take a file
_TRIES = 1000


class OutputLock:
    """Keep a second run from writing the same output at the same time."""

    def __init__(self, path: Path, output: Path) -> None:
        self.path, self.output = path, output
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "OutputLock":
        """Take the lock, or raise OutputError when another run holds it."""
        for _ in range(_TRIES):
            self.path.parent.mkdir(exist_ok=True)
            try:
                file = self.path.open("ab")
            except FileNotFoundError:  # the other run finished and removed the folder in between
                continue
            if not _try_lock(file):
                file.close()
                raise OutputError(
                    f"another run is writing {self.output} just now; wait for it or stop it first"
                )
            # the holder before us may have removed the file that we waited for
            if _same_file(file, self.path):
                self._file = file
                return self
            file.close()
        raise OutputError(f"{self.path.parent} takes no files: write {self.output} somewhere else")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the lock go."""
        if self._file is not None:
            self._file.close()


def _same_file(file: IO[bytes], path: Path) -> bool:
    """Tell whether an open file is still the one that lies under a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(file: IO[bytes]) -> bool:
    """Lock an open file for this process without waiting."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
