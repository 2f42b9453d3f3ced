"""How the C library manages the program's memory."""

import ctypes
import os
import sys

# glibc gives large freed blocks back to the system and takes them again for the next tensor, page by page; what that
# costs is in docs/performance.md. Under these names it reads the same thresholds, in bytes, when a process starts
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1)}
_PARAMETERS = {"MALLOC_MMAP_THRESHOLD_": -3, "MALLOC_TRIM_THRESHOLD_": -1}  # of mallopt, malloc.h


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next tensors, where it is glibc and the user set nothing else."""
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for name, size in ALLOCATOR.items():
        mallopt(_PARAMETERS[name], int(size))
