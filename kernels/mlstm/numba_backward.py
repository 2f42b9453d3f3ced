"""The mLSTM backward in compiled loops: each thread walks sequences of one head from the last chunk to the first."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bio_xlstm.kernels.mlstm.numba_chunk import Chunk, load_gates, load_rows, make_chunk, scan_gates
from bio_xlstm.kernels.mlstm.numba_chunk_backward import Slope, enter_outputs, make_slope, return_chunk
from bio_xlstm.kernels.mlstm.numba_forward import Memory, Trace, Work, recall
from bio_xlstm.kernels.numba_leaf import leaf
from bio_xlstm.kernels.numba_pointwise import sigmoid32


class Inputs(NamedTuple):
    """Hold what the forward pass read and returned, and the gradient of its output."""

    q: Any  # (T, H, K)
    k: Any  # (T, H, K)
    v: Any  # (T, H, V)
    i: Any  # (T, H)
    f: Any  # (T, H)
    h: Any  # (T, H, V)
    dh: Any  # (T, H, V)


class Gradients(NamedTuple):
    """Hold the gradients of the inputs."""

    q: Any  # (T, H, K)
    k: Any  # (T, H, K)
    v: Any  # (T, H, V)
    i: Any  # (T, H)
    f: Any  # (T, H)


@njit(cache=True, nogil=True, error_model="numpy")
def backward(
    thread: int,
    inputs: Inputs,
    work: Work,
    stabilise: bool,
    normalize: bool,
    trace: Trace,
    given: bool,
    dlast: Memory,
    dfirst: Memory,
    gradients: Gradients,
) -> None:
    """Do the share of one thread: fill the gradients, and dfirst where it has a length.

    `given` says that sequences began with a memory; dlast holds the gradients of the last ones, where it has a length.
    """
    heads, key, value = inputs.q.shape[1], inputs.q.shape[2], inputs.v.shape[2]
    chunk = make_chunk(work.size, key, value)
    slope = make_slope(work.size, key, value)
    for task in work.tasks[work.bins[thread] : work.bins[thread + 1]]:
        return_sequence(
            chunk, slope, inputs, task // heads, task % heads, work, stabilise, normalize, trace, given,
            dlast, dfirst, gradients,
        )  # fmt: skip


@leaf()
def return_sequence(
    chunk: Chunk, slope: Slope, inputs: Inputs, sequence: int, head: int, work: Work, stabilise: bool,
    normalize: bool, trace: Trace, given: bool, dlast: Memory, dfirst: Memory, gradients: Gradients,
) -> None:  # fmt: skip
    """Walk one sequence with one head."""
    key, value = inputs.q.shape[2], inputs.v.shape[2]
    scale, one = np.float32(key) ** np.float32(-0.5), np.float32(1)
    start, stop = work.bounds[sequence], work.bounds[sequence + 1]
    count_all = work.chunks[sequence + 1] - work.chunks[sequence]
    heard, behind, step = len(dlast.m) > 0, np.float32(0), -1 if work.reverse else 1
    slope.c[:] = np.float32(0)
    slope.n[:] = np.float32(0)
    if heard:
        enter_memory(slope, dlast, sequence, head, value)
        behind = dlast.m[sequence, head]
    for back in range(count_all):
        number = count_all - 1 - back
        offset, place = number * work.size, work.chunks[sequence] + number
        count = min(work.size, stop - start - offset)
        token = stop - 1 - offset if work.reverse else start + offset
        filled = given or number > 0
        m_before = trace.m[place, head]
        load_rows(chunk.q, inputs.q, head, token, step, count, scale)
        load_rows(chunk.k, inputs.k, head, token, step, count, one)
        load_rows(chunk.v, inputs.v, head, token, step, count, one)
        load_gates(chunk, inputs.i, inputs.f, head, token, step, count, stabilise)
        scan_gates(chunk, count, m_before, stabilise)
        if filled:
            recall(chunk, trace.c[place, head], trace.n[place, head], value)
        enter_outputs(slope, chunk, inputs.h, inputs.dh, trace.amount, head, token, step, count, normalize)
        told = number > 0 or len(dfirst.m) > 0
        behind = return_chunk(
            chunk, slope, count, key, value, m_before, behind, filled, heard or back > 0, told, stabilise
        )
        store_gradients(gradients, slope, inputs.i, inputs.f, head, token, step, count, scale, stabilise)
    if len(dfirst.m):
        leave_memory(chunk, slope, dfirst, sequence, head, value, behind)


@leaf()
def enter_memory(slope: Slope, dlast: Memory, sequence: int, head: int, value: int) -> None:
    """Take the gradient of the last memory."""
    c, n = dlast.c[sequence, head], dlast.n[sequence, head]
    for row in range(len(n)):
        slope.n[row] = n[row]
        for column in range(value):
            slope.c[row, column] = c[row, column]


@leaf()
def leave_memory(
    chunk: Chunk, slope: Slope, dfirst: Memory, sequence: int, head: int, value: int, behind: Any
) -> None:
    """Give the gradient of the first memory, everything its stabiliser scales included."""
    c, n = dfirst.c[sequence, head], dfirst.n[sequence, head]
    total = np.float64(behind)
    for row in range(len(n)):
        n[row] = slope.n[row]
        total += slope.n[row] * chunk.n[row]
        for column in range(value):
            c[row, column] = slope.c[row, column]
            total += slope.c[row, column] * chunk.c[row, column]
    dfirst.m[sequence, head] = total


@leaf()
def store_gradients(
    gradients: Gradients, slope: Slope, i: Any, f: Any, head: int, first: int, step: int, count: int, scale: Any,
    stabilise: bool,
) -> None:  # fmt: skip
    """Write the gradients of a chunk."""
    for row in range(count):
        token = first + row * step
        for column in range(gradients.q.shape[2]):
            gradients.q[token, head, column] = slope.q[row, column] * scale
            gradients.k[token, head, column] = slope.k[row, column]
        for column in range(gradients.v.shape[2]):
            gradients.v[token, head, column] = slope.v[row, column]
        gradients.f[token, head] = slope.log_f[row] * sigmoid32(-f[token, head])
        share = np.float32(1) if stabilise else sigmoid32(-i[token, head])
        gradients.i[token, head] = slope.log_i[row] * share
