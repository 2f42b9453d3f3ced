"""The options of compiled functions that other compiled functions call."""

from collections.abc import Callable
from typing import Any

from numba import njit


def leaf(**options: Any) -> Callable[[Any], Any]:
    """Compile a function that neither allocates nor returns arrays: it then counts no references to them.

    Counting is atomic, so threads that look at rows of one array would wait for each other at every row.
    """
    compiler: Callable[[Any], Any] = njit(cache=True, error_model="numpy", _nrt=False, **options)  # type: ignore[call-overload]
    return compiler
