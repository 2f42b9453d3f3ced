"""The cell of an mLSTM layer with everything around it, compiled: q, k, v, memory, head norm, skip and gate.

Queries, keys and values of a chunk exist only in the cache of the core that needs them.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bio_xlstm.kernels.mixer.numba_enter import Packed
from bio_xlstm.kernels.mixer.numba_turn import Turn, turn_rows
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
from bio_xlstm.kernels.numba_leaf import leaf
from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS, add_matmul
from bio_xlstm.kernels.numba_pointwise import sigmoid32
from bio_xlstm.kernels.numba_prefetch import prefetch_rows
from bio_xlstm.kernels.numba_quads import map_quads

_ZERO, _ONE = np.float32(0), np.float32(1)


class Slices(NamedTuple):
    """Hold the channels that q, k and v of one head depend on."""

    x: Any  # (L, slice) convolved
    branch: Any  # (L, slice) before the convolution
    mean: Any  # (L,) of the head's output
    spread: Any  # (L,) one over its standard deviation


@leaf()
def first_channel(head: int, width: int, depth: int) -> int:
    """Return the first channel that a head of `width` channels depends on, in blocks of `depth`."""
    return head * width // depth * depth


@njit(cache=True, forceinline=True)
def make_slices(size: int, width: int, depth: int) -> Slices:
    """Allocate the slices of one head."""
    columns = padded(width + 2 * depth)
    return Slices(
        np.zeros((size, columns), np.float32),
        np.zeros((size, columns), np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
    )


@leaf()
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


@leaf()
def map_head(
    target: Any, rows: Any, weights: Packed, panels: Any, number: int, head: int, width: int, count: int
) -> None:
    """Set target (L, K) to the block-diagonal map of the slices in rows; `number` counts q, k, v."""
    depth, bias = panels.shape[1], weights.bias[number]
    shift = first_channel(head, width, depth)
    if len(weights.quads):
        map_quads(
            target, 0, rows, head * width - shift, weights.quads[number], head * width // COLUMNS, width // COLUMNS,
            bias, round_up(count, ROWS),
        )  # fmt: skip
        return
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


@leaf()
def load_head(
    chunk: Chunk, slices: Slices, x: Any, up: Any, weights: Packed, turn: Turn, head: int, width: int, first: int,
    step: int, count: int,
) -> None:  # fmt: skip
    """Compute q, k and v of a chunk for one head, turned by position where asked."""
    depth, inner = weights.query.shape[1], x.shape[1]
    channel = first_channel(head, width, depth)
    channels = min(round_up((head + 1) * width, depth), inner) - channel
    load_slice(slices.x, x, channel, channels, first, step, count)
    load_slice(slices.branch, up, channel, channels, first, step, count)
    map_head(chunk.q, slices.x, weights, weights.query, 0, head, width, count)
    map_head(chunk.k, slices.x, weights, weights.key, 1, head, width, count)
    map_head(chunk.v, slices.branch, weights, weights.value, 2, head, width, count)
    turn_rows(chunk.q, turn, first, step, count, width, _ONE)
    turn_rows(chunk.k, turn, first, step, count, width, _ONE)


@leaf(fastmath=LOOSE)
def find_moments(slices: Slices, rows: Any, count: int, width: int, eps: Any) -> None:
    """Set the mean of every row (K,) and one over its standard deviation."""
    # pass by pass over all rows: sums of one row then need not wait for those of the one before
    share = _ONE / np.float32(width)
    for row in range(count):
        line, total = rows[row], _ZERO
        for column in range(width):
            total += line[column]
        slices.mean[row] = total * share
    for row in range(count):
        line, mean, total = rows[row], slices.mean[row], _ZERO
        for column in range(width):
            total += (line[column] - mean) * (line[column] - mean)
        slices.spread[row] = total
    for row in range(count):
        slices.spread[row] = _ONE / np.sqrt(slices.spread[row] * share + np.float32(eps))


@leaf(fastmath=LOOSE)
def divide(chunk: Chunk, slices: Slices, count: int, width: int, normalize: bool) -> None:
    """Divide what was read by the normaliser."""
    for row in range(count):
        slices.mean[row] = find_scale(chunk.amount[row], chunk.m[row], normalize)
    for row in range(count):
        line, scale = chunk.out[row], slices.mean[row]
        for column in range(width):
            line[column] *= scale


@leaf(fastmath=LOOSE)
def store_mixed(
    chunk: Chunk, slices: Slices, x: Any, up: Any, weights: Packed, head: int, width: int, first: int, step: int,
    count: int, eps: Any, h: Any, y: Any,
) -> None:  # fmt: skip
    """Write h (T, I) where it has a length, and y (T, I): normalised, with skip, gated."""
    inner, left, right = x.shape[1], head * width, (head + 1) * width
    norm, skip = weights.norm[left:right], weights.skip[left:right]
    divide(chunk, slices, count, width, True)
    find_moments(slices, chunk.out, count, width, eps)
    for row in range(count if len(h) else 0):
        line, target = chunk.out[row], h[first + row * step, left:right]
        for column in range(width):
            target[column] = line[column]
    for row in range(count):
        token = first + row * step
        # slices start at zero, so that the compiler need not expect negative places
        out, convolved, gates = chunk.out[row], x[token, left:right], up[token, inner + left : inner + right]
        mixed, mean, spread = y[token, left:right], slices.mean[row], slices.spread[row]
        for column in range(width):
            gate = gates[column]
            normed = (out[column] - mean) * spread * norm[column]
            mixed[column] = (normed + skip[column] * convolved[column]) * gate * sigmoid32(gate)


@njit(cache=True, nogil=True, error_model="numpy")
def mix(
    thread: int, x: Any, up: Any, i: Any, f: Any, weights: Packed, turn: Turn, work: Work, group: int, eps: Any,
    first: Memory, last: Memory, trace: Trace, h: Any, y: Any,
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
                chunk,
                slices,
                x,
                up,
                i,
                f,
                weights,
                turn,
                task // groups,
                head,
                work,
                eps,
                first,
                last,
                trace,
                h,
                y,
            )


@leaf()
def mix_sequence(
    chunk: Chunk, slices: Slices, x: Any, up: Any, i: Any, f: Any, weights: Packed, turn: Turn, sequence: int,
    head: int, work: Work, eps: Any, first: Memory, last: Memory, trace: Trace, h: Any, y: Any,
) -> None:  # fmt: skip
    """Read one sequence with one head."""
    width = x.shape[1] // i.shape[1]
    start, stop = work.bounds[sequence], work.bounds[sequence + 1]
    filled, m = begin(chunk, first, sequence, head, width, True)
    step = -1 if work.reverse else 1
    for offset in range(0, stop - start, work.size):
        count = min(work.size, stop - start - offset)
        token = stop - 1 - offset if work.reverse else start + offset
        load_head(chunk, slices, x, up, weights, turn, head, width, token, step, count)
        load_gates(chunk, i, f, head, token, step, count, True)
        # fetched while the chunk is computed: what its outputs meet, and what follows
        following = min(work.size, stop - start - offset - count)
        prefetch_rows(up, token, step, count, x.shape[1] + head * width, width)
        prefetch_rows(y, token, step, count, head * width, width)
        prefetch_rows(x, token + count * step, step, following, head * width, width)
        prefetch_rows(up, token + count * step, step, following, head * width, width)
        if len(trace.m):
            place = work.chunks[sequence] + offset // work.size
            trace.m[place, head] = m
            if filled:
                keep(chunk, trace.c[place, head], trace.n[place, head], width)
        read_chunk(chunk, count, width, width, m, filled, True)
        store_mixed(chunk, slices, x, up, weights, head, width, token, step, count, eps, h, y)
        for row in range(count if len(trace.m) else 0):
            trace.amount[token + row * step, head] = chunk.amount[row]
        if offset + count < stop - start or len(last.m):
            write_memory(chunk, count, width, width, m, filled)
            filled, m = True, chunk.m[count - 1]
    if len(last.m):
        keep(chunk, last.c[sequence, head], last.n[sequence, head], width)
        last.m[sequence, head] = m
