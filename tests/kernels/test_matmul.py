"""The small matrix product of compiled loops equals numpy's."""

import numpy as np
import pytest
import torch
from numba import njit

from bio_xlstm.kernels.numba_matmul import add_matmul
from bio_xlstm.kernels.slstm.numba_products import add_product, panels_of, scratch_of


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("rows", "depth", "columns"),
    [(4, 1, 16), (8, 3, 32), (12, 70, 48), (4, 0, 16), (4, 9, 8), (8, 70, 8), (12, 3, 8)],
)
def test_adds_the_product(rows: int, depth: int, columns: int, transposed: bool) -> None:
    """Add to what is there, anywhere in larger arrays, also for a transposed left side, and touch nothing else."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((size, width), np.float32) for size, width in ((90, 91), (80, 67)))
    out = random.standard_normal((20, 60), np.float32)
    expected = out.copy()
    left = a[2 : 2 + depth, 5 : 5 + rows].T if transposed else a[2 : 2 + rows, 5 : 5 + depth]
    expected[3 : 3 + rows, 7 : 7 + columns] += left @ b[1 : 1 + depth, 9 : 9 + columns]
    strides = (1, 91) if transposed else (91, 1)
    add_matmul(out, 3 * 60 + 7, 60, a, 2 * 91 + 5, *strides, b, 67 + 9, 67, rows, depth, columns)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5)


def test_reads_bfloat16() -> None:
    """Take the bits of bfloat16 on the right for the numbers that they are."""
    random = np.random.default_rng(1)
    a, b = random.standard_normal((4, 37), np.float32), random.standard_normal((37, 16), np.float32)
    bits = (b.view(np.uint32) >> 16).astype(np.uint16)
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    out, wide = np.zeros((4, 16), np.float32), np.zeros((4, 16), np.float32)
    add_matmul(out, 0, 16, a, 0, 37, 1, bits, 0, 16, 4, 37, 16)
    add_matmul(wide, 0, 16, a, 0, 37, 1, exact, 0, 16, 4, 37, 16)
    np.testing.assert_array_equal(out, wide)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 9])
def test_few_rows(rows: int) -> None:
    """Add the products of few rows with a matrix in panels, whatever its size."""
    left, matrix, start = torch.randn(rows, 21), torch.randn(2, 21, 37), torch.randn(rows, 37)
    panels = panels_of(matrix, rows)
    a, out = (np.zeros(shape, np.float32) for shape in scratch_of(panels, rows))
    a[:rows], out[:rows, :37] = left, start
    _add_product(a, panels[1].numpy(), out, rows)
    np.testing.assert_allclose(out[:rows, :37], start + left @ matrix[1], rtol=0, atol=1e-5)


@njit
def _add_product(left: np.ndarray, panels: np.ndarray, out: np.ndarray, rows: int) -> None:
    """Call the compiled function."""
    add_product(left, panels, out, rows)
