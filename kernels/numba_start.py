"""The first import of numba: settles where compiled loops are kept, and says a word before the first are compiled."""

import logging
import os
import stat
import tempfile
from functools import wraps
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core import event
from numba.core.caching import IndexDataCacheFile

log = logging.getLogger(__name__)

_PACKAGE = __name__.rpartition(".")[0]


def start() -> None:
    """Make numba ready for the compiled loops of this package; RuntimeError where it does not compile."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        raise RuntimeError("NUMBA_DISABLE_JIT is set")
    _pass_over_damage()
    if not can_keep():
        folder = str(private_folder())
        config.CACHE_DIR = folder  # type: ignore[attr-defined]
        log.info(
            "compiled loops are kept in %s: neither the folder of this package nor a home can be written to "
            "(NUMBA_CACHE_DIR names another)",
            folder,
        )
    event.register("numba:compile", _Announcement())


def can_keep() -> bool:
    """Tell whether numba finds a folder of its own, or the user's NUMBA_CACHE_DIR, to keep compiled loops in."""
    try:
        # nothing is compiled before the first call, but the folder is looked for here
        njit(cache=True)(can_keep)
    except RuntimeError:
        return False
    return True


def _pass_over_damage() -> None:
    """Let numba compile anew where a file of compiled loops is cut short, by a full disk for instance.

    By itself it catches no error of unpickling, so that such a file would stop every later run.
    """
    load = IndexDataCacheFile.load

    @wraps(load)
    def load_or_drop(self: Any, key: Any) -> Any:
        """Return what is kept, or nothing."""
        try:
            return load(self, key)
        except Exception as error:  # damaged pickles fail in any way
            log.warning("%s is damaged (%s): compiling anew", self._index_path, type(error).__name__)
            Path(self._index_path).unlink(missing_ok=True)
            return None

    if not hasattr(load, "__wrapped__"):
        IndexDataCacheFile.load = load_or_drop  # type: ignore[method-assign]


def private_folder() -> Path:
    """Return a folder among the temporary files that nobody else can write to: what is kept there is run."""
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = Path(tempfile.gettempdir()) / ("bio_xlstm" if user is None else f"bio_xlstm-{user}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and (
            user is None or (found.st_uid == user and not found.st_mode & 0o022)
        ):
            return folder
    except OSError:
        pass
    # somebody was there before: no folder of the same name for the next process, then
    return Path(tempfile.mkdtemp(prefix="bio_xlstm-"))


class _Announcement(event.Listener):
    """Say once per process that loops are compiled; loading what is kept from an earlier run is no compilation."""

    def __init__(self) -> None:
        self.made = False

    def on_start(self, event: Any) -> None:
        """Look at the first function that is compiled."""
        function = event.data["dispatcher"].py_func
        if not self.made and function.__module__.startswith(_PACKAGE):
            self.made = True
            log.info("compiling the CPU kernels, once: about half a minute")

    def on_end(self, event: Any) -> None:
        """Stay silent."""
