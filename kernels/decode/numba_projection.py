"""Dense maps of a few rows on the CPU: the weights are read once, in the order in which they lie in memory.

A row's result does not depend on the other rows: every row is summed in the same order, however many there are.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS, add_matmul

_FAST = {"contract", "reassoc", "nsz", "arcp"}
_ZERO, _ONE = np.float32(0), np.float32(1)


def panels_of(weight: Tensor, half: bool) -> Any:
    """Lay a matrix (outputs, inputs) out as panels (panels, inputs, 16), filled up with zeros.

    They are float32, or where half of the memory holds all there is to hold, the bits of bfloat16 as uint16.
    """
    padded = F.pad(weight.detach().float(), (0, 0, 0, -len(weight) % COLUMNS))
    panels = padded.unflatten(0, (-1, COLUMNS)).mT.contiguous()
    return panels.bfloat16().view(torch.int16).numpy().view(np.uint16) if half else panels.numpy()


def padded_bias(bias: Tensor | None, outputs: int) -> Any:
    """Return a float32 bias, zeros where there is none, filled up to whole panels."""
    padded = np.zeros(-(-outputs // COLUMNS) * COLUMNS, np.float32)
    if bias is not None:
        padded[:outputs] = bias.detach().float().numpy()
    return padded


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def normalise(begin: int, end: int, x: Any, norm: Any, eps: Any, y: Any) -> None:
    """Write the layer norm of rows begin to end of x, which may have spare columns, to y."""
    width = norm.size
    for row in range(begin, end):
        source, target = x[row], y[row]
        mean, spread = _ZERO, _ZERO
        for column in range(width):
            mean += source[column]
        mean /= np.float32(width)
        for column in range(width):
            spread += (source[column] - mean) ** 2
        over = _ONE / np.sqrt(spread / np.float32(width) + eps)
        for column in range(width):
            target[column] = (source[column] - mean) * over * norm[column]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def project(
    begin: int, end: int, first: int, last: int, x: Any, panels: Any, bias: Any, out: Any, add: bool
) -> None:
    """Write x times panels first to last plus their bias, for rows begin to end, to out, or add it there.

    begin and end are multiples of four; x and out may have spare columns, out at least up to the end of a panel.
    """
    _, depth, columns = panels.shape
    stride = out.strides[0] // out.itemsize
    for panel in range(first, last):
        at = panel * columns
        for row in range(begin, end):
            for column in range(columns):
                before = out[row, at + column] if add else _ZERO
                out[row, at + column] = before + bias[at + column]
        for row in range(begin, end, ROWS):
            add_matmul(
                out, row * stride + at, stride,
                x, row * x.shape[1], x.shape[1], 1,
                panels, at * depth, columns, ROWS, depth, columns,
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def project_widened(
    begin: int, end: int, first: int, last: int, x: Any, panels: Any, bias: Any, out: Any, add: bool
) -> None:
    """Do what `project` does with panels of bfloat16, each turned into float32 once for all rows."""
    _, depth, columns = panels.shape
    wide = np.empty((1, depth, columns), np.float32)
    bits = wide.view(np.uint32)
    for panel in range(first, last):
        for k in range(depth):
            for column in range(columns):
                bits[0, k, column] = np.uint32(panels[panel, k, column]) << np.uint32(16)
        at = panel * columns
        project(begin, end, 0, 1, x, wide, bias[at:], out[:, at:], add)
