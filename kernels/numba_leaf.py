"""The options of compiled functions that other compiled functions call.

All of them are inlined. A call that stays a call is bound, where a process loads several compiled functions that hold
a copy of the callee, to the copy loaded first; copies are optimised with their callers, so that sums could round
differently from one process to the next.
"""

from collections.abc import Callable
from typing import Any

from numba import njit


def leaf(**options: Any) -> Callable[[Any], Any]:
    """Compile a function that neither allocates nor returns arrays: it then counts no references to them.

    Counting is atomic, so threads that look at rows of one array would wait for each other at every row.
    """
    compiler: Callable[[Any], Any] = njit(  # type: ignore[call-overload]
        cache=True, error_model="numpy", _nrt=False, forceinline=True, **options
    )
    return compiler
