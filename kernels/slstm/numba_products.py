"""Products of a few rows with one matrix inside a compiled loop, a tile of the result in registers.

The matrix comes in panels of neighbouring columns, as `panels_of` cuts it: the fewer rows, the wider.
"""

import numpy as np
from numba import njit
from torch import Tensor
from torch.nn.functional import pad

from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS, add_matmul, tile_of

# infinities and NaN are values here, sums may be reordered
FAST = {"contract", "reassoc", "nsz", "arcp"}

_NUMBERS = ROWS * COLUMNS  # held in registers
_add_row, _add_pair = tile_of(1, _NUMBERS), tile_of(2, _NUMBERS // 2)


def panels_of(matrix: Tensor, rows: int) -> Tensor:
    """Return (H, depth, width) as (H, panels, depth, columns), filled up with zeros, for so many rows at once."""
    heads, depth, width = matrix.shape
    columns = _NUMBERS // min(_fill(rows), ROWS)
    return pad(matrix, (0, -width % columns)).view(heads, depth, -1, columns).transpose(1, 2).contiguous()


def scratch_of(panels: Tensor, rows: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the shapes of the left side and of the result, for at most so many rows."""
    _, count, depth, columns = panels.shape
    return (_fill(rows), depth), (_fill(rows), count * columns)


def _fill(rows: int) -> int:
    """Return how many rows are computed for so many."""
    return rows if rows <= 2 else -(-rows // ROWS) * ROWS


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def add_product(left: np.ndarray, panels: np.ndarray, out: np.ndarray, rows: int) -> None:
    """Add left @ matrix to out (shapes as of `scratch_of`); what stands in the unused rows of out is spoilt."""
    count, depth, columns = panels.shape
    width, size = out.shape[1], depth * columns
    if len(left) == 1:
        for panel in range(count):
            _add_row(out, panel * columns, width, left, 0, depth, 1, panels, panel * size, columns, depth)
    elif len(left) == 2:
        for panel in range(count):
            _add_pair(out, panel * columns, width, left, 0, depth, 1, panels, panel * size, columns, depth)
    else:
        filled = (rows + ROWS - 1) // ROWS * ROWS
        for panel in range(count):
            add_matmul(
                out,
                panel * columns,
                width,
                left,
                0,
                depth,
                1,
                panels,
                panel * size,
                columns,
                filled,
                depth,
                columns,
            )
