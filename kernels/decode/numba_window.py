"""Numbers of the window in compiled loops: float32, or bfloat16 as its bits in int16, which numba does not know."""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

_HALF, _LAST = np.int32(0x7FFF), np.int32(1)


def widen(x: Any) -> Any:
    """Return a number of the window as float32."""
    raise NotImplementedError("only inside compiled loops")


def narrow_into(target: Any, source: Any) -> Any:
    """Write a row of float32 numbers into the window."""
    raise NotImplementedError("only inside compiled loops")


@overload(widen)
def _choose_widen(x: Any) -> Any:
    """Choose by the type of the number."""
    return _same if isinstance(x, types.Float) else _from_bits


def _same(x: Any) -> Any:
    """Return float32 as it is."""
    return x


def _from_bits(x: Any) -> Any:
    """Put the bits of a bfloat16 where float32 has them."""
    return np.int32(np.int32(x) << np.int32(16)).view(np.float32)


@overload(narrow_into)
def _choose_narrow_into(target: Any, source: Any) -> Any:
    """Choose by the type of the row that is written."""
    return _copy if isinstance(target.dtype, types.Float) else _round


def _copy(target: Any, source: Any) -> Any:
    """Keep float32."""
    for index in range(target.size):
        target[index] = source[index]


def _round(target: Any, source: Any) -> Any:
    """Round to the nearest bfloat16, of two equally near ones to the even."""
    for index in range(target.size):
        target[index] = _bits_of(source[index])


@njit(cache=True, error_model="numpy", forceinline=True)
def _bits_of(x: Any) -> Any:
    """Return the upper half of a float32 after rounding; a NaN stays one."""
    bits = np.float32(x).view(np.int32)
    upper = np.int32(bits >> np.int32(16))
    rounded = np.int32((bits + _HALF + (upper & _LAST)) >> np.int32(16))
    return np.int16(rounded if x == x else upper | np.int32(0x40))
