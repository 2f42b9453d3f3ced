"""The sLSTM as compiled CPU loops, fused over time: each thread keeps a few sequences of one head in its cache."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from bio_xlstm.kernels.numba_pointwise import exp_normal32, log_sigmoid32, sigmoid32, tanh32
from bio_xlstm.kernels.slstm.numba_products import FAST, add_product, panels_of, scratch_of
from bio_xlstm.kernels.slstm.scan import SEGMENT, Adjoint, Layout, run_scan
from bio_xlstm.kernels.slstm.state import SlstmState
from bio_xlstm.kernels.threads import count_threads, run_threads

BLOCK = 8  # sequences that read the recurrent weights together

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
# slots of a trace: the memory before a token, and at the token 1 / n times what is kept, the share of the new token
# in n, tanh(z), and the share of the old memory in the gradient of the running maximum
_C, _N, _KEEP, _SHARE, _Z, _OLD, _SLOTS = range(7)


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def _advance(gates: np.ndarray, s: int, c: np.ndarray, n: np.ndarray, m: np.ndarray, h: np.ndarray) -> None:
    """Move the memory (K,) by one token, from row s of gates (S, 4K) to row s of h."""
    width = len(c)
    for k in range(width):
        i, z, o = gates[s, k], gates[s, 2 * width + k], gates[s, 3 * width + k]
        old = log_sigmoid32(gates[s, width + k]) + m[k]
        # the larger of the two factors is one; the smaller stops at 1e-38, which of an empty memory is still nothing
        other = exp_normal32(-abs(old - i))
        keep, write = (_ONE, other) if old >= i else (other, _ONE)
        m[k] = max(old, i)
        c[k] = keep * c[k] + write * tanh32(z)
        n[k] = keep * n[k] + write
        h[s, k] = c[k] / (n[k] * (_ONE + exp_normal32(-o)))


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def _trace(gates: np.ndarray, j: int, trace: np.ndarray, m: np.ndarray) -> None:
    """Move the memory over token j of a segment again, from gates (4K,), and keep the parts of the way back."""
    now, after = trace[j], trace[j + 1]
    width = len(m)
    for k in range(width):
        i = gates[k]
        old = log_sigmoid32(gates[width + k]) + m[k]
        other = exp_normal32(-abs(old - i))
        keep, write = (_ONE, other) if old >= i else (other, _ONE)
        z = tanh32(gates[2 * width + k])
        n = keep * now[_N, k] + write
        after[_C, k] = keep * now[_C, k] + write * z
        after[_N, k] = n
        now[_KEEP, k], now[_SHARE, k], now[_Z, k] = keep / n, write / n, z
        now[_OLD, k] = _ONE if old > i else (_HALF if old == i else _ZERO)
        m[k] = max(old, i)


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def _return(
    gates: np.ndarray,
    dy: np.ndarray,
    trace: np.ndarray,
    j: int,
    dh: np.ndarray,
    dc: np.ndarray,
    dn: np.ndarray,
    dl: np.ndarray,
    dm: np.ndarray,
    dgates: np.ndarray,
) -> None:
    """Carry the gradients of c, n, l and m (K,) back over token j of a segment and write dgates (4K,)."""
    now, after = trace[j], trace[j + 1]
    width = len(dy)
    # a store at a computed place would keep the loop from being vectorised
    di, df, dz, do = (
        dgates[:width],
        dgates[width : 2 * width],
        dgates[2 * width : 3 * width],
        dgates[3 * width :],
    )
    for k in range(width):
        keep, share, z = now[_KEEP, k], now[_SHARE, k], now[_Z, k]
        kept, old = keep * now[_C, k], keep * now[_N, k]
        q = kept + share * z
        o = gates[3 * width + k]
        small = exp_normal32(-abs(o))
        large = _ONE / (_ONE + small)
        open_ = large if o > _ZERO else small * large
        total = dy[k] + dh[k]
        dq = dc[k] * after[_N, k] + total * open_
        scale = dl[k]
        shift = dq * share * (old * z - kept)
        top = now[_OLD, k] * dm[k]
        dold = scale * old - shift
        di[k] = scale * share + shift + (dm[k] - top)
        df[k] = (dold + top) * sigmoid32(-gates[width + k])
        dz[k] = dq * share * (_ONE - z * z)
        do[k] = total * q * (small * large * large)
        dc[k], dn[k] = dq * keep, (scale - dq * q) * keep
        dl[k], dm[k] = dold, top


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _forward(
    tasks: np.ndarray,
    block: int,
    step: int,
    places: np.ndarray,
    x: np.ndarray,
    r: np.ndarray,
    b: np.ndarray,
    gates: np.ndarray,
    marks: np.ndarray,
    y: np.ndarray,
    state: np.ndarray,
    hidden: np.ndarray,
    work: np.ndarray,
) -> None:
    """Do some of the tasks; state (4, N, H, K) is moved in place, gates and marks are filled unless they are empty."""
    sequences, heads, width = state.shape[1:]
    for task in tasks:
        head, low = task % heads, task // heads * block
        count = min(block, sequences - low)
        rows = count
        for s in range(count):
            for k in range(width):
                hidden[s, k] = state[0, places[low + s, 0], head, k]
        for position in range(places[low, 2]):
            while places[low + rows - 1, 2] <= position:
                rows -= 1
            for s in range(rows):
                token = places[low + s, 1] + step * position
                for k in range(4 * width):
                    work[s, k] = x[token, head, k] + b[head, k]
            add_product(hidden, r[head], work, rows)
            for s in range(rows):
                row, token = places[low + s, 0], places[low + s, 1] + step * position
                if len(gates):
                    for k in range(4 * width):
                        gates[token, head, k] = work[s, k]
                    if position % SEGMENT == 0:
                        mark = places[low + s, 3] + position // SEGMENT
                        for part in range(3):
                            for k in range(width):
                                marks[mark, part, head, k] = state[1 + part, row, head, k]
                _advance(work, s, state[1, row, head], state[2, row, head], state[3, row, head], hidden)
                for k in range(width):
                    y[token, head, k] = hidden[s, k]
        for s in range(count):
            for k in range(width):
                state[0, places[low + s, 0], head, k] = hidden[s, k]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _backward(
    tasks: np.ndarray,
    block: int,
    step: int,
    places: np.ndarray,
    gates: np.ndarray,
    marks: np.ndarray,
    r: np.ndarray,
    dy: np.ndarray,
    dx: np.ndarray,
    dh: np.ndarray,
    dc: np.ndarray,
    dn: np.ndarray,
    dl: np.ndarray,
    dm: np.ndarray,
    work: np.ndarray,
    back: np.ndarray,
    trace: np.ndarray,
    top: np.ndarray,
) -> None:
    """Do some of the tasks from the end; the gradients (N, H, K) go from the last state to the first."""
    sequences, heads, width = dh.shape
    for task in tasks:
        head, low = task % heads, task // heads * block
        count, longest, rows = min(block, sequences - low), places[low, 2], 0
        for first in range((longest - 1) // SEGMENT * SEGMENT, -1, -SEGMENT):
            for s in range(count):
                mark, start = places[low + s, 3] + first // SEGMENT, places[low + s, 1] + step * first
                steps = min(SEGMENT, places[low + s, 2] - first)
                for k in range(width if steps > 0 else 0):
                    trace[s, 0, _C, k], trace[s, 0, _N, k] = marks[mark, 0, head, k], marks[mark, 1, head, k]
                    top[k] = marks[mark, 2, head, k]
                for j in range(steps):
                    _trace(gates[start + step * j, head], j, trace[s], top)
            for j in range(min(SEGMENT, longest - first) - 1, -1, -1):
                while rows < count and places[low + rows, 2] > first + j:
                    for k in range(width):
                        back[rows, k] = dh[places[low + rows, 0], head, k]
                    rows += 1
                for s in range(rows):
                    row, token = places[low + s, 0], places[low + s, 1] + step * (first + j)
                    carried = dc[row, head], dn[row, head], dl[row, head], dm[row, head]
                    _return(gates[token, head], dy[token, head], trace[s], j, back[s], *carried, work[s])
                    for k in range(4 * width):
                        dx[token, head, k] = work[s, k]
                for s in range(rows):
                    for k in range(width):
                        back[s, k] = _ZERO
                add_product(work, r[head], back, rows)
        for s in range(count):
            for k in range(width):
                dh[places[low + s, 0], head, k] = back[s, k]


class _Tasks:
    """Share out blocks of sequences, times heads, among the threads."""

    def __init__(self, layout: Layout, heads: int) -> None:
        """Choose large blocks where there are tasks enough."""
        self.places = torch.stack([layout.order, layout.start, layout.length, layout.mark], 1).numpy()
        self.step, threads, sequences = layout.direction, count_threads(), len(self.places)
        self.block = max(1, min(BLOCK, sequences, sequences * heads // threads))
        count = -(-sequences // self.block) * heads
        # round robin over falling lengths, so that every thread gets long and short sequences
        self.shares = [np.arange(thread, count, threads) for thread in range(min(threads, count))]

    def run(self, loop: Any, scratch: tuple[tuple[int, ...], ...], *tensors: Tensor) -> None:
        """Call a loop in every thread, each with scratch arrays of its own."""
        arrays = [tensor.numpy() for tensor in tensors]

        def call(thread: int) -> None:
            """Do the share of one thread."""
            own = [np.zeros(shape, np.float32) for shape in scratch]
            loop(self.shares[thread], self.block, self.step, self.places, *arrays, *own)

        run_threads(call, len(self.shares))


class NumbaScan:
    """Read all sequences in compiled loops, blocks of sequences and heads in parallel."""

    def forward(
        self, x: Tensor, r: Tensor, b: Tensor, state: SlstmState, layout: Layout, keep: bool
    ) -> tuple[Tensor, SlstmState, tuple[Tensor, ...]]:
        """Return y, the final state, and the gate pre-activations and kept memories."""
        tokens, heads, _, width = x.shape
        gates = x.new_empty(tokens if keep else 0, heads, 4 * width)
        marks = x.new_empty(layout.marks if keep else 0, 3, heads, width)
        y, last, tasks = x.new_empty(tokens, heads, width), torch.stack(state), _Tasks(layout, heads)
        weights = panels_of(r.flatten(2), tasks.block)
        scratch = scratch_of(weights, tasks.block)
        tasks.run(_forward, scratch, x.flatten(2), weights, b.flatten(1), gates, marks, y, last)
        return y, SlstmState(*last.unbind()), (gates, marks)

    def backward(
        self, kept: Sequence[Tensor], r: Tensor, dy: Tensor, end: Adjoint, layout: Layout
    ) -> tuple[Tensor, SlstmState]:
        """Return the gradients of x and of the initial state."""
        tokens, heads, width = dy.shape
        dx, tasks = dy.new_empty(tokens, heads, 4, width), _Tasks(layout, heads)
        weights = panels_of(r.flatten(2).transpose(1, 2), tasks.block)
        dh, dc, dl, dm = (part.clone() for part in end)
        dn = torch.empty_like(dc)
        work, back = scratch_of(weights, tasks.block)
        trace = (tasks.block, SEGMENT + 1, _SLOTS, width)
        tasks.run(
            _backward, (work, back, trace, (width,)), *kept, weights, dy, dx.flatten(2), dh, dc, dn, dl, dm
        )
        return dx, SlstmState(dh, dc, dn, dl + dm)


def slstm_numba(x: Tensor, r: Tensor, b: Tensor, **form: Any) -> tuple[Tensor, SlstmState]:
    """Run the sLSTM on the CPU in float32; see `bio_xlstm.kernels.slstm.slstm` for shapes."""
    return run_scan(NumbaScan(), x, r, b, form["state"], form["cu_seqlens"], form["reverse"])
