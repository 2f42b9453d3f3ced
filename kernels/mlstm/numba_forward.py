"""The mLSTM forward in compiled loops: each thread reads whole sequences of one head, chunk after chunk."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bio_xlstm.kernels.mlstm.numba_chunk import (
    LOOSE,
    Chunk,
    find_scale,
    load_gates,
    load_rows,
    make_chunk,
    read_chunk,
    write_memory,
)
from bio_xlstm.kernels.numba_leaf import leaf


class Work(NamedTuple):
    """Say which sequences of which head each thread reads, in chunks of which length."""

    bounds: Any  # (N + 1,) int64
    chunks: Any  # (N + 1,) int64 number of chunks before each sequence
    tasks: Any  # (N H,) int64 sequence * H + head, in the order of the bins
    bins: Any  # (threads + 1,) int64
    size: int  # L
    reverse: bool


class Trace(NamedTuple):
    """Keep what the backward pass needs beside inputs and outputs; of no length where it is not wanted."""

    c: Any  # (G, H, K, V) memory before each chunk
    n: Any  # (G, H, K)
    m: Any  # (G, H)
    amount: Any  # (T, H) n.q


class Memory(NamedTuple):
    """Hold the memories of all sequences; of no length where there are none or none are wanted."""

    c: Any  # (N, H, K, V)
    n: Any  # (N, H, K)
    m: Any  # (N, H)


@leaf()
def recall(chunk: Chunk, c: Any, n: Any, value: int) -> None:
    """Copy a memory c (K, V) and n (K,) into the chunk."""
    for row in range(len(n)):
        chunk.n[row] = n[row]
        for column in range(value):
            chunk.c[row, column] = c[row, column]


@leaf()
def keep(chunk: Chunk, c: Any, n: Any, value: int) -> None:
    """Copy the memory of the chunk to c (K, V) and n (K,)."""
    for row in range(len(n)):
        n[row] = chunk.n[row]
        for column in range(value):
            c[row, column] = chunk.c[row, column]


@leaf()
def begin(
    chunk: Chunk, first: Memory, sequence: int, head: int, value: int, stabilise: bool
) -> tuple[bool, Any]:
    """Load the memory before a sequence; tell whether it holds anything, and its stabiliser."""
    if len(first.m):
        recall(chunk, first.c[sequence, head], first.n[sequence, head], value)
        return True, first.m[sequence, head]
    chunk.c[:] = np.float32(0)
    chunk.n[:] = np.float32(0)
    return False, np.float32(-np.inf) if stabilise else np.float32(0)


@leaf(fastmath=LOOSE)
def store_rows(h: Any, chunk: Chunk, head: int, first: int, step: int, count: int, normalize: bool) -> None:
    """Divide what was read by the normaliser and write it to h (T, H, V)."""
    for row in range(count):
        token = first + row * step
        scale = find_scale(chunk.amount[row], chunk.m[row], normalize)
        for column in range(h.shape[2]):
            h[token, head, column] = chunk.out[row, column] * scale


@njit(cache=True, nogil=True, error_model="numpy")
def forward(
    thread: int,
    q: Any,
    k: Any,
    v: Any,
    i: Any,
    f: Any,
    work: Work,
    stabilise: bool,
    normalize: bool,
    first: Memory,
    last: Memory,
    trace: Trace,
    h: Any,
) -> None:
    """Do the share of one thread: fill h, last and trace from q, k (T, H, K), v, h (T, H, V) and i, f (T, H)."""
    heads, key, value = q.shape[1], q.shape[2], v.shape[2]
    chunk = make_chunk(work.size, key, value)
    for task in work.tasks[work.bins[thread] : work.bins[thread + 1]]:
        read_sequence(
            chunk,
            q,
            k,
            v,
            i,
            f,
            task // heads,
            task % heads,
            work,
            stabilise,
            normalize,
            first,
            last,
            trace,
            h,
        )


@leaf()
def read_sequence(
    chunk: Chunk, q: Any, k: Any, v: Any, i: Any, f: Any, sequence: int, head: int, work: Work, stabilise: bool,
    normalize: bool, first: Memory, last: Memory, trace: Trace, h: Any,
) -> None:  # fmt: skip
    """Read one sequence with one head."""
    key, value = q.shape[2], v.shape[2]
    scale = np.float32(key) ** np.float32(-0.5)
    start, stop = work.bounds[sequence], work.bounds[sequence + 1]
    filled, m = begin(chunk, first, sequence, head, value, stabilise)
    step = -1 if work.reverse else 1
    for offset in range(0, stop - start, work.size):
        count = min(work.size, stop - start - offset)
        token = stop - 1 - offset if work.reverse else start + offset
        load_rows(chunk.q, q, head, token, step, count, scale)
        load_rows(chunk.k, k, head, token, step, count, np.float32(1))
        load_rows(chunk.v, v, head, token, step, count, np.float32(1))
        load_gates(chunk, i, f, head, token, step, count, stabilise)
        if len(trace.m):
            place = work.chunks[sequence] + offset // work.size
            trace.m[place, head] = m
            if filled:
                keep(chunk, trace.c[place, head], trace.n[place, head], value)
        read_chunk(chunk, count, key, value, m, filled, stabilise)
        store_rows(h, chunk, head, token, step, count, normalize)
        for row in range(count if len(trace.m) else 0):
            trace.amount[token + row * step, head] = chunk.amount[row]
        if offset + count < stop - start or len(last.m):
            write_memory(chunk, count, key, value, m, filled)
            filled, m = True, chunk.m[count - 1]
    if len(last.m):
        keep(chunk, last.c[sequence, head], last.n[sequence, head], value)
        last.m[sequence, head] = m
