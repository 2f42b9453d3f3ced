"""One token per sequence on the CPU, compiled: convolution, gates, cell, norm, output gate; every number read once."""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from bio_xlstm.kernels.decode.cache import DecodeCache
from bio_xlstm.kernels.decode.numba_window import narrow_into, widen
from bio_xlstm.kernels.decode.weights import DecodeWeights
from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.numba_matmul import ROWS, add_matmul
from bio_xlstm.kernels.numba_pointwise import exp32, log_sigmoid32, sigmoid32
from bio_xlstm.kernels.threads import count_threads, run_threads

# infinities are values here, so sums may be reordered but nothing may be assumed finite
_FAST = {"contract", "reassoc", "nsz", "arcp"}
_EMPTY, _ZERO, _ONE, _EPS = np.float32(-np.inf), np.float32(0), np.float32(1), np.float32(EPS)

Arrays = tuple[Any, ...]


def decode_numba(
    up: Tensor,
    weights: DecodeWeights,
    cache: DecodeCache,
    slots: Tensor,
    eps: float,
    turn: Tensor | None = None,
) -> Tensor:
    """Read one token per slot; see `bio_xlstm.kernels.decode.decode_step`."""
    count, inner = len(up), cache.conv.shape[2]
    rows = -(-count // ROWS) * ROWS
    filled = np.zeros((rows, 2 * inner), np.float32)
    filled[:count] = up.float().numpy()
    scratch, y = np.empty((rows, inner + ROWS), np.float32), np.empty((rows, inner), np.float32)
    arrays = arrays_of(weights, cache)
    read_tokens(
        count, filled, y, scratch, slots.numpy(), np.float32(eps), turns_of(turn), arrays, count_threads()
    )
    return torch.from_numpy(y[:count]).to(up.dtype)


def arrays_of(weights: DecodeWeights, cache: DecodeCache) -> Arrays:
    """Return weights and memory as `read_range` takes them, sharing their storage."""
    assert weights.packed is not None
    packed = [part.contiguous().numpy() for part in weights.packed]
    memory = [part.numpy() for part in (cache.conv, cache.c, cache.n, cache.scale, cache.m)]
    window = [_bits(part).numpy() for part in (cache.keys, cache.values)]
    counters = [part.numpy() for part in (cache.weights, cache.phase, cache.count, cache.limit)]
    return (*packed, *memory, *window, *counters, cache.windows.later)


def turns_of(turn: Tensor | None) -> Any:
    """Return cosines and sines (n, 2, K / 2) as an array, of no length where nothing turns."""
    return np.empty((0, 2, 0), np.float32) if turn is None else turn.contiguous().numpy()


def _bits(x: Tensor) -> Tensor:
    """Return bfloat16 numbers, which numpy does not know, as their bits."""
    return x.view(torch.int16) if x.dtype == torch.bfloat16 else x


def read_tokens(
    count: int, up: Any, y: Any, scratch: Any, slots: Any, eps: Any, turn: Any, arrays: Arrays, threads: int
) -> None:
    """Read one token for each of `count` rows, with as many threads as there are groups of rows for."""
    groups = -(-count // ROWS)
    threads = min(threads, groups)

    def read(thread: int) -> None:
        begin, end = (groups * edge // threads * ROWS for edge in (thread, thread + 1))
        read_range(begin, min(end, count), up, y, scratch, slots, eps, turn, *arrays)

    run_threads(read, threads)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def read_range(
    begin: int, end: int, up: Any, y: Any, convolved: Any, slots: Any, eps: Any, turn: Any,
    taps: Any, conv_bias: Any, query: Any, key: Any, value: Any, bias: Any, gate_map: Any, gate_bias: Any,
    norm: Any, skip: Any,
    conv: Any, c: Any, n: Any, scale: Any, m: Any, keys: Any, values: Any,
    weights: Any, phase: Any, count: Any, limit: Any, later: int,
) -> None:  # fmt: skip
    """Write y (n, I) for rows begin to end of the up-projection (n, 2 I), and change the memory of their slots.

    begin is a multiple of four. up, y and the scratch `convolved` hold whole groups of four rows, and may have spare
    columns.
    """
    heads, inner = m.shape[1], conv.shape[2]
    width = inner // heads
    gates = np.empty((ROWS, gate_map.shape[1]), np.float32)
    qkv = np.empty((ROWS, 3, width), np.float32)
    share = np.empty(max(weights.shape[2], width), np.float32)
    for first in range(begin, end, ROWS):
        last = min(first + ROWS, end)
        for row in range(first, first + ROWS):
            gates[row - first] = gate_bias
            if row < last:
                _convolve(up[row], convolved[row], conv[slots[row]], phase[slots[row]], taps, conv_bias)
            else:
                convolved[row] = _ZERO
        _add_gates(gates, convolved, first, gate_map, 0, inner)
        _add_gates(gates, up, first, gate_map, inner, inner)
        for head in range(heads):
            at = head * width
            for row in range(ROWS):
                qkv[row] = bias[:, at : at + width]
            _project(qkv, 0, query, convolved, first, at)
            _project(qkv, 1, key, convolved, first, at)
            _project(qkv, 2, value, up, first, at)
            for row in range(first, last):
                slot, h = slots[row], y[row, at : at + width]
                if len(turn):
                    _turn(qkv[row - first, 0], turn[row])
                    _turn(qkv[row - first, 1], turn[row])
                log_i, log_f = gates[row - first, head], log_sigmoid32(gates[row - first, heads + head])
                used = count[slot, head]
                if used >= limit[slot, head]:
                    _fold(c[slot, head], n[slot, head], scale[slot, head], m[slot, head],
                          keys[slot, head], values[slot, head], weights[slot, head], used)  # fmt: skip
                    scale[slot, head] = m[slot, head]
                    used, limit[slot, head] = np.int32(0), later
                scale[slot, head] += log_f
                m[slot, head] = max(m[slot, head] + log_f, log_i)
                _age(weights[slot, head], used, log_i, log_f)
                narrow_into(keys[slot, head, used], qkv[row - first, 1])
                narrow_into(values[slot, head, used], qkv[row - first, 2])
                count[slot, head] = used + 1
                _recall(h, qkv[row - first, 0], c[slot, head], n[slot, head], scale[slot, head], m[slot, head],
                        keys[slot, head], values[slot, head], weights[slot, head], used + 1, share)  # fmt: skip
                _gate(h, convolved[row, at : at + width], up[row, inner + at : inner + at + width],
                      norm[at : at + width], skip[at : at + width], eps)  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _convolve(newest: Any, y: Any, ring: Any, phase: Any, taps: Any, bias: Any) -> None:
    """Put the newest input (I) into the ring (W, I), convolve and apply silu."""
    width, channels = ring.shape
    now = phase[0]
    row = ring[now]
    for channel in range(channels):
        row[channel] = newest[channel]
        y[channel] = bias[channel]
    for tap in range(width):
        row, weight = ring[(now + 1 + tap) % width], taps[tap]
        for channel in range(channels):
            y[channel] += weight[channel] * row[channel]
    for channel in range(channels):
        y[channel] *= sigmoid32(y[channel])
    phase[:] = (now + 1) % width


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_gates(gates: Any, x: Any, first: int, gate_map: Any, at: int, inner: int) -> None:
    """Add to the gates (4, G) what four rows of x contribute by the rows of the map that begin at `at`."""
    columns = gates.shape[1]
    add_matmul(
        gates, 0, columns,
        x, first * x.shape[1], x.shape[1], 1,
        gate_map, at * columns, columns, ROWS, inner, columns,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _project(qkv: Any, part: int, panels: Any, x: Any, first: int, at: int) -> None:
    """Add one head's block-diagonal map of four rows of x to qkv (4, 3, K)."""
    _, depth, columns = panels.shape
    width = qkv.shape[2]
    for column in range(0, width, columns):
        channel = at + column
        add_matmul(
            qkv, part * width + column, 3 * width,
            x, first * x.shape[1] + channel // depth * depth, x.shape[1], 1,
            panels, channel * depth, columns, ROWS, depth, columns,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _turn(line: Any, turn: Any) -> None:
    """Turn pairs of neighbouring channels (K) by cosines and sines (2, K / 2)."""
    cos, sin = turn[0], turn[1]
    for pair in range(cos.size):
        even, odd = line[2 * pair], line[2 * pair + 1]
        line[2 * pair] = even * cos[pair] - odd * sin[pair]
        line[2 * pair + 1] = even * sin[pair] + odd * cos[pair]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _fold(c: Any, n: Any, scale: float, m: float, keys: Any, values: Any, weights: Any, used: int) -> None:
    """Move a full window into the memory c (K, V) and normaliser n (K), both relative to exp(m) from now on."""
    width = n.size
    if scale == _EMPTY:
        # what an empty memory holds is not even zero
        c[:] = _ZERO
        n[:] = _ZERO
    else:
        keep = exp32(scale - m)
        for row in range(width):
            n[row] *= keep
            for column in range(width):
                c[row, column] *= keep
    # rows a power of two apart would share their places in the cache
    stride = width + 16
    left, right = np.empty((used, stride), np.float32), np.empty((used, stride), np.float32)
    for token in range(used):
        share = exp32(weights[token] - m)
        for row in range(width):
            left[token, row] = widen(keys[token, row]) * share
            right[token, row] = widen(values[token, row])
            n[row] += left[token, row]
    add_matmul(c, 0, width, left, 0, 1, stride, right, 0, stride, width, used, width)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _age(weights: Any, used: int, log_i: float, log_f: float) -> None:
    """Weaken the window by a forget gate and weigh the token at its end."""
    for token in range(used):
        weights[token] += log_f
    weights[used] = log_i


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _recall(
    h: Any, q: Any, c: Any, n: Any, scale: float, m: float, keys: Any, values: Any, weights: Any, used: int,
    share: Any,
) -> None:  # fmt: skip
    """Write h (V): what q (K) reads from the memory and the window, over the normaliser; `share` is scratch."""
    width = q.size
    for token in range(used):
        share[token] = exp32(weights[token] - m)
    for column in range(width):
        h[column] = _ZERO
    below = _add_window(h, q, share, keys, values, used)
    if scale != _EMPTY:
        keep = exp32(scale - m)
        for row in range(width):
            share[row] = keep * q[row]
            below += share[row] * n[row]
        _add_rows(h, share, c, width)
    over = _ONE / (max(abs(below), exp32(-m)) + _EPS)
    for column in range(width):
        h[column] *= over


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_window(h: Any, q: Any, share: Any, keys: Any, values: Any, used: int) -> Any:
    """Add the values, each times its share and q k, to h (V); return the sum of the factors."""
    below, whole = _ZERO, used // 4 * 4
    # four tokens at a time keep several reads of memory under way, and load and store h a quarter as often
    for token in range(0, whole, 4):
        p0, p1, p2, p3 = _ZERO, _ZERO, _ZERO, _ZERO
        for row in range(q.size):
            p0 += widen(keys[token, row]) * q[row]
            p1 += widen(keys[token + 1, row]) * q[row]
            p2 += widen(keys[token + 2, row]) * q[row]
            p3 += widen(keys[token + 3, row]) * q[row]
        p0, p1, p2, p3 = (
            p0 * share[token],
            p1 * share[token + 1],
            p2 * share[token + 2],
            p3 * share[token + 3],
        )
        below += (p0 + p1) + (p2 + p3)
        for column in range(h.size):
            h[column] += (p0 * widen(values[token, column]) + p1 * widen(values[token + 1, column])) + (
                p2 * widen(values[token + 2, column]) + p3 * widen(values[token + 3, column])
            )
    for token in range(whole, used):
        product = _ZERO
        for row in range(q.size):
            product += widen(keys[token, row]) * q[row]
        product *= share[token]
        below += product
        for column in range(h.size):
            h[column] += product * widen(values[token, column])
    return below


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_rows(h: Any, shares: Any, rows: Any, used: int) -> None:
    """Add the first rows (used, V), each times its share, to h (V)."""
    whole = used // 4 * 4
    # four at a time, so that h is loaded and stored a quarter as often
    for row in range(0, whole, 4):
        s0, s1, s2, s3 = shares[row], shares[row + 1], shares[row + 2], shares[row + 3]
        for column in range(h.size):
            h[column] += (s0 * widen(rows[row, column]) + s1 * widen(rows[row + 1, column])) + (
                s2 * widen(rows[row + 2, column]) + s3 * widen(rows[row + 3, column])
            )
    for row in range(whole, used):
        share = shares[row]
        for column in range(h.size):
            h[column] += share * widen(rows[row, column])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _gate(h: Any, convolved: Any, gate: Any, norm: Any, skip: Any, eps: Any) -> None:
    """Normalise h (V) in place, add the skip and apply the output gate."""
    width, mean, spread = h.size, _ZERO, _ZERO
    for column in range(width):
        mean += h[column]
    mean /= np.float32(width)
    for column in range(width):
        spread += (h[column] - mean) ** 2
    over = _ONE / np.sqrt(spread / np.float32(width) + eps)
    for column in range(width):
        mixed = (h[column] - mean) * over * norm[column] + skip[column] * convolved[column]
        h[column] = mixed * gate[column] * sigmoid32(gate[column])
