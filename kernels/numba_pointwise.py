"""Exponential, sigmoid, its logarithm and tanh in float32 for compiled loops over arrays.

The exponential of the C library is called once per number and keeps a loop from being vectorised. These are short
polynomials behind a range reduction: no branch, no call, relative error below 2e-7 wherever the result is a normal
number of float32. Infinities give the limits and a NaN stays one.
"""

import math
from typing import Any, TypeAlias

import numpy as np
from numba import njit

Number: TypeAlias = Any  # a float32 or an int32 in compiled code, for which numpy and Python have other types

# reassociation would undo the two-part logarithm of the range reduction, and infinities and NaN are values here
PRECISE = {"contract", "nsz"}

_LOG2_E = np.float32(1 / math.log(2))
# the high part of ln(2) has few enough bits that its product with an exponent is exact
_LN2_HIGH, _LN2_LOW = np.float32(355 / 512), np.float32(math.log(2) - 355 / 512)
# the exponential rounds to zero and to infinity there
_BOTTOM, _TOP = np.float32(-104), np.float32(89)
# exp(-2 x) no longer changes tanh(x)
_FLAT = np.float32(-30)

# (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, relative error 1.4e-8 of exp(r) - 1
_E2, _E3, _E4 = np.float32(4.999999804e-01), np.float32(1.666653868e-01), np.float32(4.166722127e-02)
_E5, _E6 = np.float32(8.367180963e-03), np.float32(1.388239589e-03)

# (2 artanh(s) / s - 2) / s^2 for s^2 <= 1/9, relative error 4.6e-9 of 2 artanh(s)
_L1, _L2 = np.float32(6.666641204e-01), np.float32(4.002176998e-01)
_L3, _L4 = np.float32(2.799786252e-01), np.float32(2.803127976e-01)

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


@njit(fastmath=PRECISE, error_model="numpy", forceinline=True)
def _exponent(x: Number) -> Number:
    """Return the n that brings x - n ln(2) closest to zero, for x above the bottom."""
    # the conversion cuts towards zero, so the number is made positive first
    return np.int32(np.int32(x * _LOG2_E + np.float32(160.5)) - 160)


@njit(fastmath=PRECISE, error_model="numpy", forceinline=True)
def _rest(x: Number, n: Number) -> Number:
    """Return exp(x - n ln(2)) - 1 where that is at most sqrt(2) - 1."""
    whole = np.float32(n)
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    tail = (((_E6 * r + _E5) * r + _E4) * r + _E3) * r + _E2
    return tail * (r * r) + r


@njit(fastmath=PRECISE, error_model="numpy", forceinline=True)
def _power(n: Number) -> Number:
    """Return 2**n for n from -126 to 127."""
    return np.int32(np.int32(n + 127) << 23).view(np.float32)


@njit(fastmath=PRECISE, error_model="numpy", forceinline=True)
def exp32(x: Number) -> Number:
    """Return exp(x)."""
    bounded = min(max(x, _BOTTOM), _TOP)
    n = _exponent(bounded)
    # 2**128 is no float32 and 2**-127 no normal one, so the power comes in two halves
    half = np.int32(n >> 1)
    y = (_rest(bounded, n) * _power(half) + _power(half)) * _power(np.int32(n - half))
    return y if x == x else x


# adding it rounds a number of less than 2**22 to a whole one, which then stands in the lowest bits
_ROUND = np.float32(12582912)
# the exponential is a normal number between them
_LOW, _HIGH = np.float32(-87), np.float32(88)


@njit(fastmath=PRECISE, error_model="numpy", forceinline=True)
def exp_normal32(x: Number) -> Number:
    """Return exp(x) for x from -87 to 88, and its value at the nearer of them beyond; twice as fast as `exp32`."""
    # in this form a NaN stays one
    x = _LOW if x < _LOW else x
    x = _HIGH if x > _HIGH else x
    shifted = np.float32(x * _LOG2_E + _ROUND)
    whole = shifted - _ROUND
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    tail = (((_E6 * r + _E5) * r + _E4) * r + _E3) * r + _E2
    y = np.float32(tail * (r * r) + r + _ONE)
    return np.int32(y.view(np.int32) + np.int32(shifted.view(np.int32) << 23)).view(np.float32)


@njit(fastmath=PRECISE, error_model="numpy", forceinline=True)
def sigmoid32(x: Number) -> Number:
    """Return 1 / (1 + exp(-x))."""
    return _ONE / (_ONE + exp_normal32(-x))


@njit(fastmath=PRECISE, error_model="numpy", forceinline=True)
def tanh32(x: Number) -> Number:
    """Return tanh(x)."""
    bounded = max(-_TWO * abs(x), _FLAT)
    n = _exponent(bounded)
    power = _power(n)
    # exp(-2 |x|) - 1 keeps its digits near zero
    less = _rest(bounded, n) * power + (power - _ONE)
    y = math.copysign(less / (less + _TWO), x)
    return y if x == x else x


@njit(fastmath=PRECISE, error_model="numpy", forceinline=True)
def log_sigmoid32(x: Number) -> Number:
    """Return log(1 / (1 + exp(-x)))."""
    small = exp32(-abs(x))
    # log(1 + u) = 2 artanh(s), and 2 s = u - s u
    s = small / (small + _TWO)
    w = s * s
    return min(x, _ZERO) - (small - s * (small - w * (((_L4 * w + _L3) * w + _L2) * w + _L1)))
