"""The way back through the cell of an mLSTM layer and everything around it, compiled."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bio_xlstm.kernels.mixer.numba_enter import Packed
from bio_xlstm.kernels.mixer.numba_mix import Slices, find_moments, first_channel, load_head, make_slices
from bio_xlstm.kernels.mixer.numba_turn import Turn, turn_rows
from bio_xlstm.kernels.mlstm.numba_backward import enter_memory, leave_memory
from bio_xlstm.kernels.mlstm.numba_chunk import (
    LOOSE,
    Chunk,
    find_scale,
    load_gates,
    make_chunk,
    round_up,
    scan_gates,
)
from bio_xlstm.kernels.mlstm.numba_chunk_backward import Slope, make_slope, return_chunk
from bio_xlstm.kernels.mlstm.numba_forward import Memory, Trace, Work, recall
from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.numba_leaf import leaf
from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS, add_matmul
from bio_xlstm.kernels.numba_pointwise import exp32, sigmoid32

_EPS, _ZERO, _ONE = np.float32(EPS), np.float32(0), np.float32(1)


class Kept(NamedTuple):
    """Hold what the forward pass read and kept, and the gradient of its output."""

    x: Any  # (T, I)
    up: Any  # (T, 2 I)
    i: Any  # (T, H)
    f: Any  # (T, H)
    h: Any  # (T, I)
    dy: Any  # (T, I)


class Back(NamedTuple):
    """Hold the transposed panels: (I / 16, 16, depth)."""

    query: Any
    key: Any
    value: Any


class Found(NamedTuple):
    """Hold the gradients of tokens, and of one thread those of weights."""

    x: Any  # (T, I)
    up: Any  # (T, 2 I)
    i: Any  # (T, H)
    f: Any  # (T, H)
    query: Any  # (I / 16, depth, 16)
    key: Any  # (I / 16, depth, 16)
    value: Any  # (I / 16, depth, 16)
    bias: Any  # (3, I)
    norm: Any  # (I,)
    skip: Any  # (I,)


@leaf(fastmath=LOOSE)
def enter_mixed(
    slope: Slope, chunk: Chunk, slices: Slices, kept: Kept, weights: Packed, found: Found, trace: Trace, head: int,
    width: int, first: int, step: int, count: int, eps: Any,
) -> None:  # fmt: skip
    """Take the gradient of y through gate, skip, norm and normaliser; needs chunk.m."""
    inner, left, right = kept.x.shape[1], head * width, (head + 1) * width
    norm, skip, dnorm, dskip = (
        weights.norm[left:right], weights.skip[left:right], found.norm[left:right], found.skip[left:right]
    )  # fmt: skip
    for row in range(count):
        line, h = slope.out[row], kept.h[first + row * step, left:right]
        for column in range(width):
            line[column] = h[column]
    find_moments(slices, slope.out, count, width, eps)
    for row in range(count):
        token = first + row * step
        # slices start at zero, so that the compiler need not expect negative places
        h, x, dy = kept.h[token, left:right], kept.x[token, left:right], kept.dy[token, left:right]
        gates, dgates = (
            kept.up[token, inner + left : inner + right],
            found.up[token, inner + left : inner + right],
        )
        dx, out = found.x[token, left:right], slope.out[row]
        mean, spread = slices.mean[row], slices.spread[row]
        plain, along = _ZERO, _ZERO
        for column in range(width):
            gate, normed = gates[column], (h[column] - mean) * spread
            share = sigmoid32(gate)
            mixed = normed * norm[column] + skip[column] * x[column]
            dgates[column] = dy[column] * mixed * share * (_ONE + gate * (_ONE - share))
            gradient = dy[column] * gate * share
            dskip[column] += gradient * x[column]
            dnorm[column] += gradient * normed
            dx[column] += gradient * skip[column]
            gradient *= norm[column]
            plain += gradient
            along += gradient * normed
            out[column] = gradient
        plain /= np.float32(width)
        along /= np.float32(width)
        m, amount = chunk.m[row], trace.amount[token, head]
        factor, through = spread * find_scale(amount, m, True), _ZERO
        for column in range(width):
            gradient = (out[column] - plain - (h[column] - mean) * spread * along) * factor
            out[column] = gradient
            through += gradient * h[column]
        slope.amount[row] = _ZERO
        if abs(amount) > exp32(-m):
            slope.amount[row] = through if amount < _ZERO else -through
        slope.own[row] = -_EPS * through
    slope.out[count : round_up(count, ROWS)] = _ZERO


@leaf(fastmath=LOOSE)
def return_map(
    slices: Any,
    gradient: Any,
    rows: Any,
    back: Any,
    panels: Any,
    bias: Any,
    head: int,
    width: int,
    count: int,
) -> None:
    """Take gradient (L, K) back through a block-diagonal map: add to slices (L, slice) and to panels and bias."""
    depth = panels.shape[1]
    shift = first_channel(head, width, depth)
    shifts = bias[head * width : (head + 1) * width]
    for row in range(count):
        line = gradient[row]
        for column in range(width):
            shifts[column] += line[column]
    for left in range(0, width, COLUMNS):
        panel = (head * width + left) // COLUMNS
        at = panel * COLUMNS // depth * depth - shift
        add_matmul(
            slices, at, slices.shape[1],
            gradient, left, gradient.shape[1], 1,
            back, panel * depth * COLUMNS, depth,
            round_up(count, ROWS), COLUMNS, depth,
        )  # fmt: skip
        add_matmul(
            panels, panel * depth * COLUMNS, COLUMNS,
            rows, at, 1, rows.shape[1],
            gradient, left, gradient.shape[1],
            depth, count, COLUMNS,
        )  # fmt: skip


@leaf()
def return_head(
    slope: Slope, slices: Slices, slopes: Slices, back: Back, found: Found, head: int, width: int, first: int,
    step: int, count: int,
) -> None:  # fmt: skip
    """Take the gradients of q, k and v back to the channels they come from."""
    depth, inner = back.query.shape[2], found.x.shape[1]
    channel = first_channel(head, width, depth)
    channels = min(round_up((head + 1) * width, depth), inner) - channel
    slopes.x[:], slopes.branch[:] = _ZERO, _ZERO
    return_map(slopes.x, slope.q, slices.x, back.query, found.query, found.bias[0], head, width, count)
    return_map(slopes.x, slope.k, slices.x, back.key, found.key, found.bias[1], head, width, count)
    return_map(
        slopes.branch, slope.v, slices.branch, back.value, found.value, found.bias[2], head, width, count
    )
    for row in range(count):
        token, last = first + row * step, channel + channels
        dx, dbranch = found.x[token, channel:last], found.up[token, channel:last]
        for column in range(channels):
            dx[column] += slopes.x[row, column]
            dbranch[column] += slopes.branch[row, column]


@njit(cache=True, nogil=True, error_model="numpy")
def unmix(
    thread: int, kept: Kept, weights: Packed, turn: Turn, back: Back, work: Work, group: int, eps: Any, trace: Trace,
    given: bool, dlast: Memory, dfirst: Memory, found: Found,
) -> None:  # fmt: skip
    """Do the share of one thread of the way back through `mix`; adds to what `found` holds."""
    heads = kept.i.shape[1]
    width, groups = kept.x.shape[1] // heads, heads // group
    depth = weights.query.shape[1]
    chunk, slope = make_chunk(work.size, width, width), make_slope(work.size, width, width)
    slices, slopes = make_slices(work.size, width, depth), make_slices(work.size, width, depth)
    for task in work.tasks[work.bins[thread] : work.bins[thread + 1]]:
        for head in range(task % groups * group, (task % groups + 1) * group):
            unmix_sequence(
                chunk, slope, slices, slopes, kept, weights, turn, back, task // groups, head, work, eps, trace, given,
                dlast, dfirst, found,
            )  # fmt: skip


@leaf()
def unmix_sequence(
    chunk: Chunk, slope: Slope, slices: Slices, slopes: Slices, kept: Kept, weights: Packed, turn: Turn, back: Back,
    sequence: int, head: int, work: Work, eps: Any, trace: Trace, given: bool, dlast: Memory, dfirst: Memory,
    found: Found,
) -> None:  # fmt: skip
    """Walk one sequence with one head, from the last chunk to the first."""
    width = kept.x.shape[1] // kept.i.shape[1]
    start, stop = work.bounds[sequence], work.bounds[sequence + 1]
    chunks = work.chunks[sequence + 1] - work.chunks[sequence]
    heard, behind, step = len(dlast.m) > 0, _ZERO, -1 if work.reverse else 1
    slope.c[:] = _ZERO
    slope.n[:] = _ZERO
    if heard:
        enter_memory(slope, dlast, sequence, head, width)
        behind = dlast.m[sequence, head]
    for number in range(chunks - 1, -1, -1):
        offset, place = number * work.size, work.chunks[sequence] + number
        count = min(work.size, stop - start - offset)
        token = stop - 1 - offset if work.reverse else start + offset
        filled, m = given or number > 0, trace.m[place, head]
        load_head(chunk, slices, kept.x, kept.up, weights, turn, head, width, token, step, count)
        load_gates(chunk, kept.i, kept.f, head, token, step, count, True)
        scan_gates(chunk, count, m, True)
        if filled:
            recall(chunk, trace.c[place, head], trace.n[place, head], width)
        enter_mixed(slope, chunk, slices, kept, weights, found, trace, head, width, token, step, count, eps)
        told, heard_here = number > 0 or len(dfirst.m) > 0, heard or number < chunks - 1
        behind = return_chunk(chunk, slope, count, width, width, m, behind, filled, heard_here, told, True)
        turn_rows(slope.q, turn, token, step, count, width, -_ONE)
        turn_rows(slope.k, turn, token, step, count, width, -_ONE)
        return_head(slope, slices, slopes, back, found, head, width, token, step, count)
        for row in range(count):
            at = token + row * step
            found.i[at, head] = slope.log_i[row]
            found.f[at, head] = slope.log_f[row] * sigmoid32(-kept.f[at, head])
    if len(dfirst.m):
        leave_memory(chunk, slope, dfirst, sequence, head, width, behind)
