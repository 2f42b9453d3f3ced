"""Products of a few rows with one matrix, in loops that the compiler turns into vector instructions.

The matrix is read once for every two rows. Its height must be a multiple of eight.
"""

import numpy as np
from numba import njit

# infinities and NaN are values here, sums may be reordered
FAST = {"contract", "reassoc", "nsz", "arcp"}
HEIGHT = 8  # the height of the matrix is a multiple of it

_ZERO = np.float32(0)


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def add_product(left: np.ndarray, matrix: np.ndarray, out: np.ndarray, rows: int) -> None:
    """Add left @ matrix to out; where rows is odd and above one, a row behind the last must exist and is spoilt."""
    height, width = matrix.shape
    if rows == 1:
        for k in range(0, height, 8):
            a, b, c, d = left[0, k], left[0, k + 1], left[0, k + 2], left[0, k + 3]
            e, f, g, h = left[0, k + 4], left[0, k + 5], left[0, k + 6], left[0, k + 7]
            for j in range(width):
                out[0, j] += (
                    (a * matrix[k, j] + b * matrix[k + 1, j])
                    + (c * matrix[k + 2, j] + d * matrix[k + 3, j])
                    + (e * matrix[k + 4, j] + f * matrix[k + 5, j])
                    + (g * matrix[k + 6, j] + h * matrix[k + 7, j])
                )
        return
    for k in range(0, height, 4):
        for s in range(0, rows, 2):
            a, b, c, d = left[s, k], left[s, k + 1], left[s, k + 2], left[s, k + 3]
            e, f, g, h = left[s + 1, k], left[s + 1, k + 1], left[s + 1, k + 2], left[s + 1, k + 3]
            for j in range(width):
                p, q, u, v = matrix[k, j], matrix[k + 1, j], matrix[k + 2, j], matrix[k + 3, j]
                out[s, j] += (a * p + b * q) + (c * u + d * v)
                out[s + 1, j] += (e * p + f * q) + (g * u + h * v)


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def put_transposed(left: np.ndarray, matrix: np.ndarray, out: np.ndarray, rows: int) -> None:
    """Write left @ matrix.T to out; where rows is odd and above one, a row behind the last is spoilt as above."""
    height, width = matrix.shape
    for k in range(0, height, 4):
        if rows == 1:
            a = b = c = d = _ZERO
            for j in range(width):
                x = left[0, j]
                a += x * matrix[k, j]
                b += x * matrix[k + 1, j]
                c += x * matrix[k + 2, j]
                d += x * matrix[k + 3, j]
            out[0, k], out[0, k + 1], out[0, k + 2], out[0, k + 3] = a, b, c, d
            continue
        for s in range(0, rows, 2):
            a = b = c = d = e = f = g = h = _ZERO
            for j in range(width):
                x, y = left[s, j], left[s + 1, j]
                p, q, u, v = matrix[k, j], matrix[k + 1, j], matrix[k + 2, j], matrix[k + 3, j]
                a += x * p
                b += x * q
                c += x * u
                d += x * v
                e += y * p
                f += y * q
                g += y * u
                h += y * v
            out[s, k], out[s, k + 1], out[s, k + 2], out[s, k + 3] = a, b, c, d
            out[s + 1, k], out[s + 1, k + 1], out[s + 1, k + 2], out[s + 1, k + 3] = e, f, g, h
