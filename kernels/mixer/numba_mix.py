"""The cell of an mLSTM layer with everything around it, compiled: q, k, v, memory, head norm, skip and gate.

Queries, keys and values of a chunk exist only in the cache of the core that needs them.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bio_xlstm.kernels.mixer.numba_enter import Packed
from bio_xlstm.kernels.mlstm.numba_chunk import (
    LOOSE,
    Chunk,
    find_scale,
    load_gates,
    make_chunk,
    padded,
    read_chunk,
    round_up,
    write_memory,
)
from bio_xlstm.kernels.mlstm.numba_forward import Memory, Trace, Work, begin, keep
from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS, add_matmul
from bio_xlstm.kernels.numba_pointwise import sigmoid32

_ZERO, _ONE = np.float32(0), np.float32(1)


class Slices(NamedTuple):
    """Hold the channels that q, k and v of one head depend on."""

    x: Any  # (L, slice) convolved
    branch: Any  # (L, slice) before the convolution


@njit(cache=True)
def first_channel(head: int, width: int, depth: int) -> int:
    """Return the first channel that a head of `width` channels depends on, in blocks of `depth`."""
    return head * width // depth * depth


@njit(cache=True)
def make_slices(size: int, width: int, depth: int) -> Slices:
    """Allocate the slices of one head."""
    columns = padded(width + 2 * depth)
    return Slices(np.zeros((size, columns), np.float32), np.zeros((size, columns), np.float32))


@njit(cache=True)
def load_slice(
    target: Any, source: Any, channel: int, channels: int, first: int, step: int, count: int
) -> None:
    """Copy some channels of tokens first, first + step, ...; clear rows up to a multiple of 4."""
    for row in range(count):
        line, given = target[row], source[first + row * step, channel : channel + channels]
        for column in range(channels):
            line[column] = given[column]
    for row in range(count, round_up(count, ROWS)):
        for column in range(channels):
            target[row, column] = _ZERO


@njit(cache=True)
def map_head(target: Any, rows: Any, panels: Any, bias: Any, head: int, width: int, count: int) -> None:
    """Set target (L, K) to the block-diagonal map of the slices in rows."""
    depth = panels.shape[1]
    shift = first_channel(head, width, depth)
    shifts = bias[head * width : (head + 1) * width]
    for row in range(round_up(count, ROWS)):
        line = target[row]
        for column in range(width):
            line[column] = shifts[column]
    for left in range(0, width, COLUMNS):
        panel = (head * width + left) // COLUMNS
        add_matmul(
            target, left, target.shape[1],
            rows, panel * COLUMNS // depth * depth - shift, rows.shape[1], 1,
            panels, panel * depth * COLUMNS, COLUMNS,
            round_up(count, ROWS), depth, COLUMNS,
        )  # fmt: skip


@njit(cache=True)
def load_head(
    chunk: Chunk, slices: Slices, x: Any, up: Any, weights: Packed, head: int, width: int, first: int, step: int,
    count: int,
) -> None:  # fmt: skip
    """Compute q, k and v of a chunk for one head."""
    depth, inner = weights.query.shape[1], x.shape[1]
    channel = first_channel(head, width, depth)
    channels = min(round_up((head + 1) * width, depth), inner) - channel
    load_slice(slices.x, x, channel, channels, first, step, count)
    load_slice(slices.branch, up, channel, channels, first, step, count)
    map_head(chunk.q, slices.x, weights.query, weights.bias[0], head, width, count)
    map_head(chunk.k, slices.x, weights.key, weights.bias[1], head, width, count)
    map_head(chunk.v, slices.branch, weights.value, weights.bias[2], head, width, count)


@njit(cache=True, fastmath=LOOSE, error_model="numpy")
def find_moments(row: Any, width: int, eps: Any) -> tuple[Any, Any]:
    """Return the mean of row (K,) and one over its standard deviation."""
    mean, variance = _ZERO, _ZERO
    for column in range(width):
        mean += row[column]
    mean /= np.float32(width)
    for column in range(width):
        variance += (row[column] - mean) * (row[column] - mean)
    return mean, _ONE / np.sqrt(variance / np.float32(width) + np.float32(eps))


@njit(cache=True, fastmath=LOOSE, error_model="numpy")
def store_mixed(
    chunk: Chunk, x: Any, up: Any, weights: Packed, head: int, width: int, first: int, step: int, count: int,
    eps: Any, h: Any, y: Any,
) -> None:  # fmt: skip
    """Write h (T, I) where it has a length, and y (T, I): normalised, with skip, gated."""
    inner, left, right = x.shape[1], head * width, (head + 1) * width
    norm, skip = weights.norm[left:right], weights.skip[left:right]
    for row in range(count):
        token = first + row * step
        # slices start at zero, so that the compiler need not expect negative places
        out, convolved, gates = chunk.out[row], x[token, left:right], up[token, inner + left : inner + right]
        mixed = y[token, left:right]
        scale = find_scale(chunk.amount[row], chunk.m[row], True)
        for column in range(width):
            out[column] *= scale
        if len(h):
            h[token, left:right] = out[:width]
        mean, spread = find_moments(out, width, eps)
        for column in range(width):
            gate = gates[column]
            normed = (out[column] - mean) * spread * norm[column]
            mixed[column] = (normed + skip[column] * convolved[column]) * gate * sigmoid32(gate)


@njit(cache=True, nogil=True, error_model="numpy")
def mix(
    thread: int, x: Any, up: Any, i: Any, f: Any, weights: Packed, work: Work, group: int, eps: Any, first: Memory,
    last: Memory, trace: Trace, h: Any, y: Any,
) -> None:  # fmt: skip
    """Do the share of one thread: fill y (T, I), and h, last and trace where they have a length.

    A task of the work is one sequence with `group` neighbouring heads.
    """
    heads = i.shape[1]
    width, groups = x.shape[1] // heads, heads // group
    chunk = make_chunk(work.size, width, width)
    slices = make_slices(work.size, width, weights.query.shape[1])
    for task in work.tasks[work.bins[thread] : work.bins[thread + 1]]:
        for head in range(task % groups * group, (task % groups + 1) * group):
            mix_sequence(
                chunk, slices, x, up, i, f, weights, task // groups, head, work, eps, first, last, trace, h, y
            )


@njit(cache=True, error_model="numpy")
def mix_sequence(
    chunk: Chunk, slices: Slices, x: Any, up: Any, i: Any, f: Any, weights: Packed, sequence: int, head: int,
    work: Work, eps: Any, first: Memory, last: Memory, trace: Trace, h: Any, y: Any,
) -> None:  # fmt: skip
    """Read one sequence with one head."""
    width = x.shape[1] // i.shape[1]
    start, stop = work.bounds[sequence], work.bounds[sequence + 1]
    filled, m = begin(chunk, first, sequence, head, width, True)
    step = -1 if work.reverse else 1
    for offset in range(0, stop - start, work.size):
        count = min(work.size, stop - start - offset)
        token = stop - 1 - offset if work.reverse else start + offset
        load_head(chunk, slices, x, up, weights, head, width, token, step, count)
        load_gates(chunk, i, f, head, token, step, count, True)
        if len(trace.m):
            place = work.chunks[sequence] + offset // work.size
            trace.m[place, head] = m
            if filled:
                keep(chunk, trace.c[place, head], trace.n[place, head], width)
        read_chunk(chunk, count, width, width, m, filled, True)
        store_mixed(chunk, x, up, weights, head, width, token, step, count, eps, h, y)
        for row in range(count if len(trace.m) else 0):
            trace.amount[token + row * step, head] = chunk.amount[row]
        if offset + count < stop - start or len(last.m):
            write_memory(chunk, count, width, width, m, filled)
            filled, m = True, chunk.m[count - 1]
    if len(last.m):
        keep(chunk, last.c[sequence, head], last.n[sequence, head], width)
        last.m[sequence, head] = m
