"""One chunk of the mLSTM for one head, forward, in compiled loops over arrays that stay in the cache.

The weight of token j for a later token i, log i_j plus the forget gates between them, is carried from row to row by
adding one gate at a time, so nothing is ever subtracted. Only the lower triangle of the scores is computed.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.numba_leaf import leaf
from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS, add_matmul
from bio_xlstm.kernels.numba_pointwise import exp32, exp_normal32, log_sigmoid32
from bio_xlstm.kernels.numba_transpose import SIDE, transpose

# sums may be reordered, but infinities are values here
LOOSE = {"contract", "reassoc", "nsz", "arcp"}
_EPS, _ZERO, _ONE = np.float32(EPS), np.float32(0), np.float32(1)


class Chunk(NamedTuple):
    """Hold the arrays of one head for at most L tokens; every row is padded against cache conflicts."""

    q: Any  # (L, K) scaled by K**-0.5
    k: Any  # (L, K)
    k_columns: Any  # (K, L)
    v: Any  # (L, V)
    out: Any  # (L, V)
    scores: Any  # (L, L)
    c: Any  # (K, V) memory before the chunk, then behind it
    n: Any  # (K,)
    log_i: Any  # (L,)
    log_f: Any  # (L,)
    reach: Any  # (L,) logarithm of what the last token read sees of each token before it
    prefix: Any  # (L,) logarithm of what each token sees of the memory before the chunk
    m: Any  # (L,) stabiliser
    amount: Any  # (L,) n.q


@leaf()
def round_up(count: int, unit: int) -> int:
    """Return the next multiple of a unit."""
    return (count + unit - 1) // unit * unit


@leaf()
def padded(count: int) -> int:
    """Return a row length of an odd number of panels: rows then fall on different lines of the cache."""
    panels = (count + COLUMNS - 1) // COLUMNS
    return (panels + 1 - panels % 2) * COLUMNS


@njit(cache=True, forceinline=True)
def make_chunk(size: int, key: int, value: int) -> Chunk:
    """Allocate the arrays for chunks of `size` tokens, a multiple of 16."""
    rows = round_up(key, SIDE)
    keys, values, line = padded(key), padded(value), padded(size)
    return Chunk(
        np.zeros((size, keys), np.float32),
        np.zeros((size, keys), np.float32),
        np.zeros((rows, line), np.float32),
        np.zeros((size, values), np.float32),
        np.zeros((size, values), np.float32),
        np.zeros((size, line), np.float32),
        np.zeros((rows, values), np.float32),
        np.zeros(rows, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
    )


@leaf()
def load_rows(target: Any, source: Any, head: int, first: int, step: int, count: int, factor: Any) -> None:
    """Copy rows of one head from (T, H, width) tokens first, first + step, ...; clear rows up to a multiple of 4."""
    width = source.shape[2]
    for row in range(count):
        line, given = target[row], source[first + row * step, head]
        for column in range(width):
            line[column] = given[column] * factor
    for row in range(count, round_up(count, ROWS)):
        for column in range(width):
            target[row, column] = _ZERO


@leaf()
def load_gates(
    chunk: Chunk, i: Any, f: Any, head: int, first: int, step: int, count: int, stabilise: bool
) -> None:
    """Take the logarithms of the gates of one head from pre-activations (T, H)."""
    for row in range(count):
        token = first + row * step
        chunk.log_f[row] = log_sigmoid32(f[token, head])
        chunk.log_i[row] = i[token, head] if stabilise else log_sigmoid32(i[token, head])


@leaf()
def add_lower(scores: Any, a: Any, b_columns: Any, count: int, depth: int) -> None:
    """Set the lower triangle of scores (count, count) to a (count, depth) times b_columns (depth, count)."""
    rows, line = round_up(count, ROWS), scores.shape[1]
    scores[:rows, : round_up(count, COLUMNS)] = _ZERO
    for left in range(0, count, COLUMNS):
        add_matmul(
            scores, left * line + left, line,
            a, left * a.shape[1], a.shape[1], 1,
            b_columns, left, b_columns.shape[1],
            rows - left, depth, COLUMNS,
        )  # fmt: skip


@leaf()
def add_causal(out: Any, scores: Any, values: Any, count: int, width: int) -> None:
    """Add the lower triangle of scores (count, count) times values (count, width) to out."""
    columns = round_up(width, COLUMNS)
    for row in range(0, count, ROWS):
        add_matmul(
            out, row * out.shape[1], out.shape[1],
            scores, row * scores.shape[1], scores.shape[1], 1,
            values, 0, values.shape[1],
            ROWS, min(row + ROWS, count), columns,
        )  # fmt: skip


@leaf(fastmath=LOOSE)
def scan_gates(chunk: Chunk, count: int, m_before: Any, stabilise: bool) -> None:
    """Set prefix and m of every token."""
    # the exponential of a long sum shows every rounding of it
    prefix, m = np.float64(0), m_before
    for row in range(count):
        prefix += chunk.log_f[row]
        if stabilise:
            m = max(m + chunk.log_f[row], chunk.log_i[row])
        chunk.prefix[row] = prefix
        chunk.m[row] = m


@leaf(fastmath=LOOSE)
def weigh_scores(chunk: Chunk, count: int) -> None:
    """Multiply each score with the gates between its tokens; sum the rows and clear what lies above the diagonal."""
    scores, reach = chunk.scores, chunk.reach
    for row in range(count):
        gate, m, total = chunk.log_f[row], chunk.m[row], _ZERO
        for column in range(row):
            reach[column] += gate
        reach[row] = chunk.log_i[row]
        line, columns = scores[row], round_up(row + 1, COLUMNS)
        # whole vectors: numbers above the diagonal are of no meaning, and cleared below
        for column in range(columns):
            line[column] *= exp_normal32(reach[column] - m)
        for column in range(row + 1, columns):
            line[column] = _ZERO
        for column in range(columns):
            total += line[column]
        chunk.amount[row] = total


@leaf(fastmath=LOOSE)
def read_memory(chunk: Chunk, count: int, key: int, value: int, m_before: Any) -> None:
    """Add what the tokens read from the memory before the chunk; leaves q multiplied with its share."""
    for row in range(count):
        share, total = exp32(chunk.prefix[row] + m_before - chunk.m[row]), _ZERO
        for column in range(key):
            q = chunk.q[row, column] * share
            chunk.q[row, column] = q
            total += q * chunk.n[column]
        chunk.amount[row] += total
    add_matmul(
        chunk.out, 0, chunk.out.shape[1],
        chunk.q, 0, chunk.q.shape[1], 1,
        chunk.c, 0, chunk.c.shape[1],
        round_up(count, ROWS), key, round_up(value, COLUMNS),
    )  # fmt: skip


@leaf(fastmath=LOOSE)
def write_memory(chunk: Chunk, count: int, key: int, value: int, m_before: Any, filled: bool) -> None:
    """Carry the memory to the end of the chunk; leaves v multiplied with its share."""
    last = chunk.m[count - 1]
    keep = exp32(chunk.prefix[count - 1] + m_before - last) if filled else _ZERO
    for row in range(key):
        chunk.n[row] *= keep
        for column in range(value):
            chunk.c[row, column] *= keep
    for row in range(count):
        share = exp32(chunk.reach[row] - last)
        for column in range(value):
            chunk.v[row, column] *= share
        for column in range(key):
            chunk.n[column] += share * chunk.k[row, column]
    add_matmul(
        chunk.c, 0, chunk.c.shape[1],
        chunk.k, 0, 1, chunk.k.shape[1],
        chunk.v, 0, chunk.v.shape[1],
        round_up(key, ROWS), count, round_up(value, COLUMNS),
    )  # fmt: skip


@leaf(fastmath=LOOSE)
def read_chunk(
    chunk: Chunk, count: int, key: int, value: int, m_before: Any, filled: bool, stabilise: bool
) -> None:
    """Set out and amount of every token, not yet divided, and m; q, k, v and the gates are loaded."""
    transpose(chunk.k_columns, chunk.k, count, key)
    scan_gates(chunk, count, m_before, stabilise)
    add_lower(chunk.scores, chunk.q, chunk.k_columns, count, key)
    weigh_scores(chunk, count)
    chunk.out[: round_up(count, ROWS)] = _ZERO
    add_causal(chunk.out, chunk.scores, chunk.v, count, value)
    if filled:
        read_memory(chunk, count, key, value, m_before)


@leaf(fastmath=LOOSE)
def find_scale(amount: Any, m: Any, normalize: bool) -> Any:
    """Return what the memory read is multiplied with."""
    if normalize:
        return _ONE / (max(abs(amount), exp32(-m)) + _EPS)
    return exp32(m)
