"""The causal depthwise convolution on the CPU, compiled: one pass each way, exact gradients; computes in float32.

The way back keeps only the inputs and computes the result before the activation again, row by row.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from bio_xlstm.kernels.autograd import first_order
from bio_xlstm.kernels.conv.window import carry_window
from bio_xlstm.kernels.mlstm.numba_chunk import LOOSE
from bio_xlstm.kernels.mlstm.work import to_array
from bio_xlstm.kernels.numba_pointwise import sigmoid32
from bio_xlstm.kernels.packing import find_bounds
from bio_xlstm.kernels.threads import count_threads, run_threads

LEAST = 1 << 16  # numbers that are worth a thread of their own
RUN = 256  # tokens whose gradients of the weights are summed in float32
_ZERO, _ONE = np.float32(0), np.float32(1)


class Inputs(NamedTuple):
    """Hold what is convolved as arrays."""

    x: Any  # (T, C)
    taps: Any  # (W, C)
    bias: Any  # (C,)
    state: Any  # (N, W - 1, C), or nothing along N
    bounds: Any  # (N + 1,) int64


@njit(cache=True, forceinline=True)
def find_token(start: int, stop: int, position: int, reverse: bool) -> int:
    """Return the token at a position of a sequence, counted in reading order."""
    return stop - 1 - position if reverse else start + position


@njit(cache=True, fastmath=LOOSE, error_model="numpy", forceinline=True)
def add_product(row: Any, a: Any, b: Any) -> None:
    """Add a times b to row (C,)."""
    for channel in range(len(row)):
        row[channel] += a[channel] * b[channel]


@njit(cache=True, fastmath=LOOSE, error_model="numpy", forceinline=True)
def fill(row: Any, given: Inputs, sequence: int, position: int, reverse: bool) -> None:
    """Set row (C,) to the convolution at one position of a sequence, before the activation."""
    start, stop, width = given.bounds[sequence], given.bounds[sequence + 1], len(given.taps)
    bias, tap, line = given.bias, given.taps[width - 1], given.x[find_token(start, stop, position, reverse)]
    for channel in range(len(row)):
        row[channel] = bias[channel] + tap[channel] * line[channel]
    for lag in range(1, width):
        source = position - lag
        if source >= 0:
            add_product(row, given.taps[width - 1 - lag], given.x[find_token(start, stop, source, reverse)])
        elif len(given.state):
            add_product(row, given.taps[width - 1 - lag], given.state[sequence, width - 1 + source])


@njit(cache=True, fastmath=LOOSE, error_model="numpy", forceinline=True)
def activate(row: Any) -> None:
    """Apply SiLU to row (C,)."""
    for channel in range(len(row)):
        row[channel] = row[channel] * sigmoid32(row[channel])


@njit(cache=True, fastmath=LOOSE, error_model="numpy", forceinline=True)
def multiply_slope(row: Any, dy: Any) -> None:
    """Turn row (C,), before the activation, into dy times the slope of SiLU there."""
    for channel in range(len(row)):
        share = sigmoid32(row[channel])
        row[channel] = dy[channel] * share * (_ONE + row[channel] * (_ONE - share))


@njit(cache=True, nogil=True, error_model="numpy")
def forward(thread: int, threads: int, given: Inputs, reverse: bool, silu: bool, y: Any) -> None:
    """Do the share of one thread: fill its rows of y (T, C)."""
    begin, end = len(y) * thread // threads, len(y) * (thread + 1) // threads
    sequence = int(np.searchsorted(given.bounds, begin, side="right")) - 1
    for token in range(begin, end):
        while given.bounds[sequence + 1] <= token:
            sequence += 1
        start, stop = given.bounds[sequence], given.bounds[sequence + 1]
        fill(y[token], given, sequence, stop - 1 - token if reverse else token - start, reverse)
        if silu:
            activate(y[token])


@njit(cache=True, nogil=True, error_model="numpy")
def backward(
    thread: int, threads: int, given: Inputs, reverse: bool, silu: bool, dy: Any, dx: Any, dstate: Any, totals: Any
) -> None:  # fmt: skip
    """Do the share of one thread of the way back: fill its rows of dx (T, C) and of dstate (N, W - 1, C).

    It adds what its tokens give to totals (W + 1, C): the gradients of the taps and, behind them, of the bias.
    """
    begin, end = len(dx) * thread // threads, len(dx) * (thread + 1) // threads
    sequence = int(np.searchsorted(given.bounds, begin, side="right")) - 1
    while begin < end:
        start, stop = given.bounds[sequence], given.bounds[sequence + 1]
        last = min(stop, end)
        low, high = (stop - last, stop - begin) if reverse else (begin - start, last - start)
        for first in range(low, high, RUN):
            walk_back(given, sequence, first, min(first + RUN, high), reverse, silu, dy, dx, dstate, totals)
        begin = last
        sequence += 1


@njit(cache=True, error_model="numpy", forceinline=True)
def walk_back(
    given: Inputs, sequence: int, low: int, high: int, reverse: bool, silu: bool, dy: Any, dx: Any, dstate: Any,
    totals: Any,
) -> None:  # fmt: skip
    """Fill the gradients of the inputs at positions low to high - 1 of a sequence, and of its state where low is zero.

    Later tokens that read these inputs are looked at as well, but leave their own gradients to others.
    """
    start, stop, width = given.bounds[sequence], given.bounds[sequence + 1], len(given.taps)
    sums = np.zeros((width + 1, dx.shape[1]), np.float32)
    row = np.empty(dx.shape[1], np.float32)
    for position in range(low, min(high + width - 1, stop - start)):
        token, own = find_token(start, stop, position, reverse), position < high
        dz = dy[token]
        if silu:
            fill(row, given, sequence, position, reverse)
            multiply_slope(row, dz)
            dz = row
        if own:
            dx[token] = _ZERO
            for channel in range(len(dz)):
                sums[width, channel] += dz[channel]
        for lag in range(width):
            tap, source = width - 1 - lag, position - lag
            if source >= 0:
                other = find_token(start, stop, source, reverse)
                if own:
                    add_product(sums[tap], dz, given.x[other])
                if low <= source < high:
                    add_product(dx[other], dz, given.taps[tap])
            elif len(given.state):
                if own:
                    add_product(sums[tap], dz, given.state[sequence, width - 1 + source])
                if low == 0:
                    add_product(dstate[sequence, width - 1 + source], dz, given.taps[tap])
    totals += sums


class _Compiled(torch.autograd.Function):
    """Differentiate the compiled convolution of flat tokens (T, C)."""

    @staticmethod
    def forward(ctx: Any, form: tuple[np.ndarray, bool, bool], *inputs: Tensor | None) -> Tensor:
        """Return y (T, C)."""
        ctx.form = form
        ctx.save_for_backward(*inputs)
        return _read(form, *inputs)  # type: ignore[arg-type]

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> Any:
        """Return the gradients of x, weight, bias and state."""
        (bounds, reverse, silu), (x, weight, bias, state) = ctx.form, ctx.saved_tensors
        given, threads = _gather(bounds, x, weight, bias, state), _count_threads(x)
        dx, dstate, slopes = np.empty_like(given.x), np.zeros_like(given.state), to_array(dy)
        totals = np.zeros((threads, len(given.taps) + 1, x.shape[1]))
        run_threads(
            lambda thread: backward(
                thread, threads, given, reverse, silu, slopes, dx, dstate, totals[thread]
            ),
            threads,
        )
        sums = torch.from_numpy(totals.sum(0).astype(np.float32))  # (W + 1, C)
        return (
            None,
            torch.from_numpy(dx),
            sums[:-1].T,
            None if bias is None else sums[-1],
            None if state is None else torch.from_numpy(dstate),
        )


def _gather(
    bounds: np.ndarray, x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None
) -> Inputs:
    """Return the inputs as arrays."""
    channels, width = weight.shape
    return Inputs(
        to_array(x),
        to_array(weight.T),
        np.zeros(channels, np.float32) if bias is None else to_array(bias),
        np.zeros((0, width - 1, channels), np.float32) if state is None else to_array(state),
        bounds,
    )


def _count_threads(x: Tensor) -> int:
    """Return how many threads convolve x."""
    return max(1, min(count_threads(), x.numel() // LEAST))


def _read(
    form: tuple[np.ndarray, bool, bool], x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None
) -> Tensor:
    """Return y (T, C)."""
    bounds, reverse, silu = form
    given, threads = _gather(bounds, x, weight, bias, state), _count_threads(x)
    y = np.empty_like(given.x)
    run_threads(lambda thread: forward(thread, threads, given, reverse, silu, y), threads)
    return torch.from_numpy(y)


def conv_numba(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    state: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    activation: str = "none",
) -> tuple[Tensor, Tensor]:
    """Convolve all sequences in compiled loops; see `bio_xlstm.kernels.conv.causal_conv` for shapes."""
    batch, time, _ = x.shape
    bounds = find_bounds(batch, time, cu_seqlens)
    flat = x.flatten(0, 1)  # (T, C)
    form = (np.array(bounds, np.int64), reverse, activation == "silu")
    # a window carried on is in the dtype of x, and so is the one that enters
    before = None if state is None else state.to(x.dtype)
    tensors = [None if part is None else part.float() for part in (flat, weight, bias, before)]
    if torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in tensors):
        y = _Compiled.apply(form, *tensors)
    else:
        y = _read(form, *tensors)  # type: ignore[arg-type]
    return y.to(x.dtype).unflatten(0, (batch, time)), carry_window(
        flat, before, bounds, weight.shape[1], reverse
    )
