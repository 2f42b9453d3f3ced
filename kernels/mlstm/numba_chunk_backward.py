"""One chunk of the mLSTM for one head, backward, in compiled loops over arrays that stay in the cache.

Equations: xLSTM (arXiv 2405.04517) 87-105, chunk by chunk. The gradient of a forget gate collects every pair of tokens
it stands between, again by additions only: the sums over later tokens grow row by row from the last row up.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bio_xlstm.kernels.mlstm.numba_chunk import (
    LOOSE,
    Chunk,
    add_causal,
    add_lower,
    find_scale,
    padded,
    round_up,
)
from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.numba_leaf import leaf
from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS, add_matmul
from bio_xlstm.kernels.numba_pointwise import exp32, exp_normal32
from bio_xlstm.kernels.numba_transpose import SIDE, transpose

_EPS, _ZERO, _ONE = np.float32(EPS), np.float32(0), np.float32(1)


class Slope(NamedTuple):
    """Hold the gradients of one head for at most L tokens, beside its `Chunk`."""

    out: Any  # (L, V) gradient of the memory read, before the division
    amount: Any  # (L,) gradient of n.q
    own: Any  # (L,) gradient of the stabiliser itself
    q: Any  # (L, K)
    k: Any  # (L, K)
    v: Any  # (L, V)
    log_i: Any  # (L,)
    log_f: Any  # (L,)
    scores: Any  # (L, L)
    pairs: Any  # (L, L) gradient of the logarithm of each weight
    columns: Any  # (max(K, V), max(L, K, V)) some transposed array
    c: Any  # (K, V) gradient of the memory behind the chunk, then before it
    n: Any  # (K,)
    later: Any  # (L,)


@njit(cache=True, forceinline=True)
def make_slope(size: int, key: int, value: int) -> Slope:
    """Allocate the arrays for chunks of `size` tokens, a multiple of 16."""
    keys, values, line = padded(key), padded(value), padded(size)
    return Slope(
        np.zeros((size, values), np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros((size, keys), np.float32),
        np.zeros((size, keys), np.float32),
        np.zeros((size, values), np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros((size, line), np.float32),
        np.zeros((size, line), np.float32),
        np.zeros((round_up(value, SIDE), max(keys, line)), np.float32),
        np.zeros((round_up(key, SIDE), values), np.float32),
        np.zeros(round_up(key, ROWS), np.float32),
        np.zeros(size, np.float32),
    )


@leaf(fastmath=LOOSE)
def enter_outputs(
    slope: Slope, chunk: Chunk, h: Any, dh: Any, amounts: Any, head: int, first: int, step: int, count: int,
    normalize: bool,
) -> None:  # fmt: skip
    """Take the gradient of h (T, H, V) through the division by the normaliser; needs chunk.m."""
    for row in range(count):
        token = first + row * step
        m, amount = chunk.m[row], amounts[token, head]
        scale, through = find_scale(amount, m, normalize), _ZERO
        for column in range(h.shape[2]):
            gradient = dh[token, head, column] * scale
            slope.out[row, column] = gradient
            through += gradient * h[token, head, column]
        slope.amount[row] = _ZERO
        if normalize and abs(amount) > exp32(-m):
            slope.amount[row] = through if amount < _ZERO else -through
        slope.own[row] = -_EPS * through if normalize else _ZERO
    slope.out[count : round_up(count, ROWS)] = _ZERO


@leaf(fastmath=LOOSE)
def weigh_slopes(chunk: Chunk, slope: Slope, count: int) -> None:
    """Turn raw scores and the gradients of weighted scores into weighted scores and gradients of raw ones."""
    scores, dscores, pairs, reach = chunk.scores, slope.scores, slope.pairs, chunk.reach
    for row in range(count):
        gate, m, more = chunk.log_f[row], chunk.m[row], slope.amount[row]
        for column in range(row):
            reach[column] += gate
        reach[row] = chunk.log_i[row]
        line, dline, pair, columns = scores[row], dscores[row], pairs[row], round_up(row + 1, COLUMNS)
        # whole vectors: numbers above the diagonal are of no meaning, and cleared below
        for column in range(columns):
            weight = exp_normal32(reach[column] - m)
            score, gradient = line[column], (dline[column] + more) * weight
            line[column] = score * weight
            dline[column] = gradient
            pair[column] = score * gradient
        for column in range(row + 1, columns):
            line[column] = _ZERO
            dline[column] = _ZERO
            pair[column] = _ZERO


@leaf(fastmath=LOOSE)
def cross_pairs(chunk: Chunk, slope: Slope, count: int) -> None:
    """Set the gradients of the gates from pairs of tokens inside the chunk."""
    later, pairs = slope.later, slope.pairs
    later[:] = _ZERO
    for row in range(count - 1, -1, -1):
        crossing, line = _ZERO, pairs[row]
        for column in range(round_up(row + 1, COLUMNS)):
            later[column] += line[column]
        for column in range(row):
            crossing += later[column]
        slope.log_f[row] = crossing
        slope.log_i[row] = later[row]


@leaf()
def add_transposed(out: Any, scores: Any, values: Any, count: int, width: int) -> None:
    """Add the transposed lower triangle of scores (count, count) times values (count, width) to out."""
    line = scores.shape[1]
    for row in range(0, count, ROWS):
        add_matmul(
            out, row * out.shape[1], out.shape[1],
            scores, row * line + row, 1, line,
            values, row * values.shape[1], values.shape[1],
            ROWS, count - row, round_up(width, COLUMNS),
        )  # fmt: skip


@leaf(fastmath=LOOSE)
def enter_inside(chunk: Chunk, slope: Slope, count: int, key: int, value: int) -> None:
    """Set all gradients to what comes from pairs of tokens inside the chunk."""
    rows = round_up(count, ROWS)
    transpose(chunk.k_columns, chunk.k, count, key)
    add_lower(chunk.scores, chunk.q, chunk.k_columns, count, key)
    transpose(slope.columns, chunk.v, count, value)
    add_lower(slope.scores, slope.out, slope.columns, count, value)
    weigh_slopes(chunk, slope, count)
    cross_pairs(chunk, slope, count)
    slope.v[:rows] = _ZERO
    add_transposed(slope.v, chunk.scores, slope.out, count, value)


@leaf(fastmath=LOOSE)
def enter_reading(chunk: Chunk, slope: Slope, count: int, key: int, value: int, m_before: Any) -> None:
    """Set the gradient of q, and add those of the gates, from reading the memory before the chunk."""
    transpose(slope.columns, chunk.c, key, value)
    add_matmul(
        slope.q, 0, slope.q.shape[1],
        slope.out, 0, slope.out.shape[1], 1,
        slope.columns, 0, slope.columns.shape[1],
        round_up(count, ROWS), value, round_up(key, COLUMNS),
    )  # fmt: skip
    seen = _ZERO
    for row in range(count - 1, -1, -1):
        share, more = exp32(chunk.prefix[row] + m_before - chunk.m[row]), slope.amount[row]
        for column in range(key):
            gradient = (slope.q[row, column] + more * chunk.n[column]) * share
            slope.q[row, column] = gradient
            seen += gradient * chunk.q[row, column]
        slope.log_f[row] += seen


@leaf(fastmath=LOOSE)
def enter_writing(chunk: Chunk, slope: Slope, count: int, key: int, value: int) -> None:
    """Set the gradient of k, and add those of v and the gates, from writing to the memory behind the chunk."""
    rows, last = round_up(count, ROWS), chunk.m[count - 1]
    transpose(slope.columns, slope.c, key, value)
    add_matmul(
        slope.k, 0, slope.k.shape[1],
        chunk.v, 0, chunk.v.shape[1], 1,
        slope.columns, 0, slope.columns.shape[1],
        rows, value, round_up(key, COLUMNS),
    )  # fmt: skip
    written = _ZERO
    for row in range(count):
        share, own = exp32(chunk.reach[row] - last), _ZERO
        for column in range(key):
            gradient = (slope.k[row, column] + slope.n[column]) * share
            slope.k[row, column] = gradient
            own += gradient * chunk.k[row, column]
            # k is needed once more, as it was written to the memory
            chunk.k[row, column] *= share
        slope.log_f[row] += written
        slope.log_i[row] += own
        written += own
    add_matmul(
        slope.v, 0, slope.v.shape[1],
        chunk.k, 0, chunk.k.shape[1], 1,
        slope.c, 0, slope.c.shape[1],
        rows, key, round_up(value, COLUMNS),
    )  # fmt: skip


@leaf(fastmath=LOOSE)
def carry_slope(
    chunk: Chunk, slope: Slope, count: int, key: int, value: int, m_before: Any, filled: bool
) -> None:
    """Carry the gradient of the memory to the beginning of the chunk; leaves q multiplied with its share."""
    keep, across = exp32(chunk.prefix[count - 1] + m_before - chunk.m[count - 1]) if filled else _ZERO, _ZERO
    for row in range(key):
        across += slope.n[row] * chunk.n[row]
        slope.n[row] *= keep
        for column in range(value):
            across += slope.c[row, column] * chunk.c[row, column]
            slope.c[row, column] *= keep
    for row in range(count):
        slope.log_f[row] += keep * across
        share, more = exp32(chunk.prefix[row] + m_before - chunk.m[row]), slope.amount[row]
        for column in range(key):
            q = chunk.q[row, column] * share
            chunk.q[row, column] = q
            slope.n[column] += more * q
    add_matmul(
        slope.c, 0, slope.c.shape[1],
        chunk.q, 0, 1, chunk.q.shape[1],
        slope.out, 0, slope.out.shape[1],
        round_up(key, ROWS), count, round_up(value, COLUMNS),
    )  # fmt: skip


@leaf(fastmath=LOOSE)
def route_stabiliser(chunk: Chunk, slope: Slope, count: int, behind: Any) -> Any:
    """Send gradients of the stabiliser to the gate each maximum came from; return what reaches the chunk before."""
    for row in range(count - 1, -1, -1):
        behind += slope.own[row]
        if chunk.log_i[row] >= chunk.m[row]:
            slope.log_i[row] += behind
            behind = _ZERO
        else:
            slope.log_f[row] += behind
    return behind


@leaf(fastmath=LOOSE)
def return_chunk(
    chunk: Chunk, slope: Slope, count: int, key: int, value: int, m_before: Any, m_behind: Any,
    filled: bool, heard: bool, told: bool, stabilise: bool,
) -> Any:  # fmt: skip
    """Set all gradients of a chunk and return that of the stabiliser before it.

    The chunk holds q, k, v, gates, m and the memory before it, which is zero unless `filled`; slope.out, amount and own
    are set. `heard` says that slope.c holds something, `told` that its value before the chunk is wanted.
    """
    rows = round_up(count, ROWS)
    enter_inside(chunk, slope, count, key, value)
    slope.q[:rows] = _ZERO
    if filled:
        enter_reading(chunk, slope, count, key, value, m_before)
    add_causal(slope.q, slope.scores, chunk.k, count, key)
    slope.k[:rows] = _ZERO
    if heard:
        enter_writing(chunk, slope, count, key, value)
    add_transposed(slope.k, slope.scores, chunk.q, count, key)
    if told:
        carry_slope(chunk, slope, count, key, value, m_before, filled)
    return route_stabiliser(chunk, slope, count, m_behind) if stabilise else _ZERO
