"""The way into the cell, compiled: causal convolution, SiLU and gate pre-activations, a few tokens at a time."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bio_xlstm.kernels.mlstm.numba_chunk import LOOSE, padded, round_up
from bio_xlstm.kernels.numba_leaf import leaf
from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS, add_matmul
from bio_xlstm.kernels.numba_pointwise import sigmoid32

TILE = 16  # tokens handled at once
_ZERO, _ONE = np.float32(0), np.float32(1)


class Packed(NamedTuple):
    """Hold `PackedWeights` as arrays; quads beside the panels where diagonal blocks have at most four channels."""

    taps: Any  # (W, I)
    conv_bias: Any  # (I,)
    query: Any  # (I / 16, depth, 16)
    key: Any  # (I / 16, depth, 16)
    value: Any  # (I / 16, depth, 16)
    bias: Any  # (3, I)
    gates: Any  # (2 I, G)
    gate_bias: Any  # (G,)
    norm: Any  # (I,)
    skip: Any  # (I,)
    quads: Any  # (3, I / 16, 4, 16) of q, k and v, or of no length


class Tiles(NamedTuple):
    """Say where sequences and tiles of at most 16 tokens begin."""

    bounds: Any  # (N + 1,) int64
    sequence: Any  # (tiles,) int64
    offset: Any  # (tiles,) int64 first position inside the sequence, in reading order
    reverse: bool


@leaf()
def share_of(thread: int, threads: int, count: int) -> tuple[int, int]:
    """Return the first and the last but one of the tiles of a thread."""
    return count * thread // threads, count * (thread + 1) // threads


@leaf()
def find_token(start: int, stop: int, position: int, reverse: bool) -> int:
    """Return the token at a position of a sequence, counted in reading order."""
    return stop - 1 - position if reverse else start + position


@leaf(fastmath=LOOSE)
def add_product(row: Any, a: Any, b: Any, channels: int) -> None:
    """Add a times b to row."""
    for channel in range(channels):
        row[channel] += a[channel] * b[channel]


@leaf(fastmath=LOOSE)
def load_window(
    window: Any, up: Any, state: Any, tiles: Tiles, sequence: int, offset: int, count: int, width: int, inner: int
) -> None:  # fmt: skip
    """Copy the branch up[:, :I] of a tile and of the W - 1 tokens before it to window (W - 1 + 16, I)."""
    start, stop = tiles.bounds[sequence], tiles.bounds[sequence + 1]
    for row in range(width - 1 + count):
        position, target = offset + row - (width - 1), window[row]
        if position >= 0:
            source = up[find_token(start, stop, position, tiles.reverse)]
            for channel in range(inner):
                target[channel] = source[channel]
        elif len(state):
            source = state[sequence, width - 1 + position]
            for channel in range(inner):
                target[channel] = source[channel]
        else:
            target[:inner] = _ZERO


@leaf(fastmath=LOOSE)
def convolve(row: Any, window: Any, first: int, weights: Packed) -> None:
    """Set row (I,) to the convolution of window rows first to first + W - 1, before the activation."""
    width, inner = weights.taps.shape
    bias = weights.conv_bias
    for channel in range(inner):
        row[channel] = bias[channel]
    # four taps at a time, to pass over the row less often
    whole = width // 4 * 4
    for tap in range(0, whole, 4):
        a, b, c, d = weights.taps[tap], weights.taps[tap + 1], weights.taps[tap + 2], weights.taps[tap + 3]
        p, q, r, s = (
            window[first + tap],
            window[first + tap + 1],
            window[first + tap + 2],
            window[first + tap + 3],
        )
        for channel in range(inner):
            row[channel] += (a[channel] * p[channel] + b[channel] * q[channel]) + (
                c[channel] * r[channel] + d[channel] * s[channel]
            )
    for tap in range(whole, width):
        add_product(row, weights.taps[tap], window[first + tap], inner)


@njit(cache=True, nogil=True, fastmath=LOOSE, error_model="numpy")
def enter(
    thread: int, threads: int, up: Any, state: Any, weights: Packed, tiles: Tiles, x: Any, i: Any, f: Any
) -> None:
    """Do the share of one thread: fill x (T, I), the convolved branch, and the gates i and f (T, H) from up (T, 2 I).

    State (N, W - 1, I) holds the inputs before each sequence, or nothing.
    """
    inner, heads, taps, width = x.shape[1], i.shape[1], len(weights.taps), weights.gates.shape[1]
    window = np.zeros((taps - 1 + TILE, padded(inner)), np.float32)
    rows = np.zeros((TILE, padded(inner)), np.float32)
    gates = np.zeros((TILE, width), np.float32)
    begin, end = share_of(thread, threads, len(tiles.sequence))
    for tile in range(begin, end):
        sequence, offset = tiles.sequence[tile], tiles.offset[tile]
        start, stop = tiles.bounds[sequence], tiles.bounds[sequence + 1]
        count = min(TILE, stop - start - offset)
        load_window(window, up, state, tiles, sequence, offset, count, taps, inner)
        for row in range(count):
            line, target = rows[row], x[find_token(start, stop, offset + row, tiles.reverse)]
            convolve(line, window, row, weights)
            for channel in range(inner):
                activated = line[channel] * sigmoid32(line[channel])
                line[channel] = activated
                target[channel] = activated
        read_gates(gates, rows, window, weights, count, taps - 1, inner)
        for row in range(count):
            token = find_token(start, stop, offset + row, tiles.reverse)
            for head in range(heads):
                i[token, head] = gates[row, head]
                f[token, head] = gates[row, heads + head]


@leaf()
def read_gates(
    gates: Any, rows: Any, window: Any, weights: Packed, count: int, first: int, inner: int
) -> None:
    """Set gates (16, G) to their pre-activations from rows (16, I), convolved, and window, which is not."""
    width = gates.shape[1]
    for row in range(count):
        for column in range(width):
            gates[row, column] = weights.gate_bias[column]
    add_matmul(
        gates, 0, width, rows, 0, rows.shape[1], 1, weights.gates, 0, width, round_up(count, ROWS), inner, width
    )  # fmt: skip
    add_matmul(
        gates, 0, width, window, first * window.shape[1], window.shape[1], 1, weights.gates, inner * width, width,
        round_up(count, ROWS), inner, width,
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=LOOSE, error_model="numpy")
def leave(
    thread: int, threads: int, up: Any, state: Any, weights: Packed, gates_back: Any, tiles: Tiles, x: Any,
    dgates: Any, dx: Any, dup: Any, sums: Any,
) -> None:  # fmt: skip
    """Do the share of one thread of the way back: from dgates (T, G) and dx (T, I).

    dx becomes the gradient before the activation, dup[:, :I] gains what comes through the gates (gates_back (G, 2 I) is
    their transpose), and sums (2 I + 4, G) of the thread the gradients of the gates' weights and, behind them, biases.
    """
    inner, width = x.shape[1], weights.gates.shape[1]
    rows = np.zeros((TILE, padded(2 * inner)), np.float32)
    slopes = np.zeros((TILE, padded(2 * inner)), np.float32)
    gates = np.zeros((TILE, width), np.float32)
    before = np.zeros(inner, np.float32)
    taps = len(weights.taps)
    window = np.zeros((taps - 1 + TILE, padded(inner)), np.float32)
    begin, end = share_of(thread, threads, len(tiles.sequence))
    for tile in range(begin, end):
        sequence, offset = tiles.sequence[tile], tiles.offset[tile]
        start, stop = tiles.bounds[sequence], tiles.bounds[sequence + 1]
        count = min(TILE, stop - start - offset)
        gates[:], slopes[:] = _ZERO, _ZERO
        load_window(window, up, state, tiles, sequence, offset, count, taps, inner)
        for row in range(count):
            token = find_token(start, stop, offset + row, tiles.reverse)
            gates[row] = dgates[token]
            rows[row, :inner] = x[token]
            rows[row, inner : 2 * inner] = up[token, :inner]
            for column in range(width):
                sums[2 * inner, column] += gates[row, column]
        line = rows.shape[1]
        add_matmul(
            slopes, 0, line, gates, 0, width, 1, gates_back, 0, 2 * inner,
            round_up(count, ROWS), width, round_up(2 * inner, COLUMNS),
        )  # fmt: skip
        add_matmul(sums, 0, width, rows, 0, 1, line, gates, 0, width, 2 * inner, count, width)
        for row in range(count):
            token = find_token(start, stop, offset + row, tiles.reverse)
            convolve(before, window, row, weights)
            dline, dbranch, through, plain = dx[token], dup[token], slopes[row], slopes[row, inner:]
            for channel in range(inner):
                share = sigmoid32(before[channel])
                slope = share * (_ONE + before[channel] * (_ONE - share))
                dline[channel] = (dline[channel] + through[channel]) * slope
                dbranch[channel] += plain[channel]


@njit(cache=True, nogil=True, fastmath=LOOSE, error_model="numpy")
def leave_convolution(
    thread: int, threads: int, up: Any, state: Any, weights: Packed, tiles: Tiles, dx: Any, dup: Any, dstate: Any,
    sums: Any,
) -> None:  # fmt: skip
    """Do the share of one thread of the way back through the convolution.

    dx is the gradient before the activation. dup[:, :I] gains the gradient of the branch, sums (W + 1, I) of the thread
    those of the taps and, behind them, of the bias, and dstate, where it has a length, that of the state.
    """
    width, inner = weights.taps.shape
    begin, end = share_of(thread, threads, len(tiles.sequence))
    for tile in range(begin, end):
        sequence, offset = tiles.sequence[tile], tiles.offset[tile]
        start, stop = tiles.bounds[sequence], tiles.bounds[sequence + 1]
        for position in range(offset, min(offset + TILE, stop - start)):
            token = find_token(start, stop, position, tiles.reverse)
            dline = dx[token]
            for channel in range(inner):
                sums[width, channel] += dline[channel]
            for lag in range(width):
                tap, source = width - 1 - lag, position - lag
                if source >= 0:
                    add_product(sums[tap], dline, up[find_token(start, stop, source, tiles.reverse)], inner)
                elif len(state):
                    add_product(sums[tap], dline, state[sequence, width - 1 + source], inner)
                    add_product(dstate[sequence, width - 1 + source], dline, weights.taps[tap], inner)
                # what this token gave to the one `lag` later
                if position + lag < stop - start:
                    other = find_token(start, stop, position + lag, tiles.reverse)
                    add_product(dup[token], dx[other], weights.taps[tap], inner)
