"""What this process holds in memory, now and at most."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def memory_now() -> int | None:
    """Return the resident bytes of this process; where only the highest so far is known, that; None on Windows."""
    return _read_status("VmRSS") or highest_memory()


def highest_memory() -> int | None:
    """Return the most resident bytes that this process ever had; None where the system does not tell (Windows).

    On Linux the peak of getrusage(2) begins at that of the process which started this one, so it is not asked there.
    """
    known = _read_status("VmHWM")
    if known is not None:
        return known
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _read_status(name: str) -> int | None:
    """Return the bytes that Linux tells under a name."""
    if not _STATUS.exists():
        return None
    lines = (line.partition(":") for line in _STATUS.read_text().splitlines())
    found = {key: value.split() for key, _, value in lines}
    return int(found[name][0]) * 1024 if name in found else None
