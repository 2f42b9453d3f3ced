"""The inside of an mLSTM layer on the CPU, compiled and fused, with exact gradients; computes in float32.

Beside its inputs, the way back needs h and the memory before each chunk; all else is computed again.
"""

from functools import lru_cache
from itertools import pairwise
from math import lcm
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.kernels.autograd import first_order
from bio_xlstm.kernels.conv.window import carry_window
from bio_xlstm.kernels.mixer.numba_enter import TILE, Packed, Tiles, enter, leave, leave_convolution
from bio_xlstm.kernels.mixer.numba_mix import mix
from bio_xlstm.kernels.mixer.numba_mix_backward import Back, Found, Kept, unmix
from bio_xlstm.kernels.mixer.numba_turn import Turn, make_turn
from bio_xlstm.kernels.mixer.variant import Rotation
from bio_xlstm.kernels.mixer.weights import PANEL, PackedWeights, PreparedWeights, pack
from bio_xlstm.kernels.mlstm.numba_forward import Memory, Trace, Work
from bio_xlstm.kernels.mlstm.numba_mlstm import choose_size, make_memory, make_trace
from bio_xlstm.kernels.mlstm.state import MlstmState
from bio_xlstm.kernels.mlstm.work import share_out, to_array
from bio_xlstm.kernels.numba_quads import QUAD, make_quads
from bio_xlstm.kernels.packing import find_bounds
from bio_xlstm.kernels.threads import count_threads, run_threads

LONGEST_WINDOW = TILE


class Plan(NamedTuple):
    """Say how the tokens are shared out."""

    tiles: Tiles
    work: Work  # its tasks are groups of heads
    group: int  # heads whose channels depend on the same blocks
    quads: bool  # diagonal blocks have at most four channels
    eps: float


@lru_cache(maxsize=32)
def _tiles(bounds: tuple[int, ...], reverse: bool) -> Tiles:
    """Cut the sequences into tiles."""
    places = [
        (sequence, offset)
        for sequence, (start, stop) in enumerate(pairwise(bounds))
        for offset in range(0, stop - start, TILE)
    ]
    sequence, offset = np.array(places, np.int64).T.copy()
    return Tiles(np.array(bounds, np.int64), sequence, offset, reverse)


@lru_cache(maxsize=32)
def _plan(
    bounds: tuple[int, ...], inner: int, heads: int, block: int, reverse: bool, eps: float, threads: int
) -> Plan:
    """Plan the work on sequences between bounds for a layer of I channels in diagonal blocks of P."""
    width = inner // heads
    size = choose_size(int(np.diff(bounds).max()), width, width)
    # a panel of a map depends on as many channels
    group = lcm(width, max(block, PANEL)) // width
    work = Work(*share_out(bounds, heads // group, size, threads), size, reverse)
    return Plan(_tiles(bounds, reverse), work, group, block <= QUAD, eps)


def _shared_arrays(weights: PreparedWeights, quads: bool) -> Packed:
    """Return the weights as arrays, made once for all calls that share them."""
    if "arrays" not in weights.layouts:
        weights.layouts["arrays"] = _to_arrays(weights.packed, quads)
    found: Packed = weights.layouts["arrays"]
    return found


def _to_arrays(weights: PackedWeights, quads: bool) -> Packed:
    """Return the weights as arrays, with quads or without."""
    taps, conv_bias, *maps, bias, gates, gate_bias, norm, skip = (to_array(x) for x in weights)
    small = np.empty((0, len(norm) // PANEL, QUAD, PANEL), np.float32)
    if quads:
        small = np.stack([make_quads(panels) for panels in maps])
    query, key, value = maps
    return Packed(taps, conv_bias, query, key, value, bias, gates, gate_bias, norm, skip, small)


class _Kept(NamedTuple):
    """Hold what the way back needs beside inputs and outputs."""

    x: np.ndarray  # (T, I)
    i: np.ndarray  # (T, H)
    f: np.ndarray  # (T, H)
    h: np.ndarray  # (T, I)
    trace: Trace


def _forward(
    plan: Plan,
    heads: int,
    up: Tensor,
    packed: Packed,
    turn: Turn,
    first: Memory,
    window: np.ndarray,
    keep: bool,
    end: bool,
) -> tuple[Tensor, Memory, _Kept]:
    """Return y (T, I), the last memories and what was kept."""
    ups, (total, inner) = to_array(up), (len(up), len(packed.norm))
    width, chunks = inner // heads, int(plan.work.chunks[-1])
    # torch aligns what it makes: products of the same numbers may round differently elsewhere in memory
    x, y = (torch.empty(total, inner, dtype=torch.float32).numpy() for _ in range(2))
    h = np.empty((total if keep else 0, inner), np.float32)
    i, f = np.empty((total, heads), np.float32), np.empty((total, heads), np.float32)
    last = make_memory(len(plan.work.bounds) - 1 if end else 0, heads, width, width)
    trace = make_trace(chunks if keep else 0, total if keep else 0, heads, width, width)
    threads, shares = count_threads(), len(plan.work.bins) - 1
    run_threads(lambda thread: enter(thread, threads, ups, window, packed, plan.tiles, x, i, f), threads)
    run_threads(
        lambda thread: mix(
            thread, x, ups, i, f, packed, turn, plan.work, plan.group, plan.eps, first, last, trace, h, y
        ),
        shares,
    )
    return torch.from_numpy(y), last, _Kept(x, i, f, h, trace)


class _Fused(torch.autograd.Function):
    """Differentiate the fused layer."""

    @staticmethod
    def forward(
        ctx: Any, plan: Plan, turn: Turn, heads: int, end: bool, up: Tensor, *rest: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the layer and keep what the way back needs."""
        ctx.set_materialize_grads(False)
        weights, state = PackedWeights(*rest[:10]), rest[10:]  # type: ignore[arg-type]
        first, window = _begin(state, heads, len(weights.norm), len(weights.taps))
        arrays = _to_arrays(weights, plan.quads)
        y, last, kept = _forward(plan, heads, up, arrays, turn, first, window, True, end)
        ctx.plan, ctx.turn, ctx.heads = plan, turn, heads
        c, n, m = (torch.from_numpy(part) for part in last)
        # torch notices when what it keeps is written to, the last memory included, and checkpointing drops it
        *arrays_kept, trace = kept
        ctx.save_for_backward(
            up, *rest, c, n, m, *(torch.from_numpy(part) for part in (*arrays_kept, *trace))
        )
        return y, c, n, m

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor | None, *dlast: Tensor | None) -> Any:
        """Walk back through memory, gates and convolution."""
        up, *rest = ctx.saved_tensors
        weights, state, last = PackedWeights(*rest[:10]), rest[10:14], Memory(*map(to_array, rest[14:17]))
        x, i, f, h, *trace = map(to_array, rest[17:])
        if dy is None:
            dy = up.new_zeros(len(up), len(weights.norm))
        kept = _Kept(x, i, f, h, Trace(*trace))
        found = _backward(ctx, kept, up, weights, state, dy, last, dlast)
        return None, None, None, None, *found


def _begin(
    state: tuple[Tensor | None, ...] | list[Tensor | None], heads: int, inner: int, taps: int
) -> tuple[Memory, np.ndarray]:
    """Return the memories and windows before the sequences as arrays, of no length where there are none."""
    if state[0] is None:
        return make_memory(0, heads, inner // heads, inner // heads), np.empty(
            (0, taps - 1, inner), np.float32
        )
    c, n, m, window = (to_array(part) for part in state)  # type: ignore[arg-type]
    return Memory(c, n, m), window


def _end_gradients(last: Memory, given: tuple[Tensor | None, ...], like: Memory) -> Memory:
    """Return the gradients of the last memories, everything m scales included."""
    if all(gradient is None for gradient in given):
        return like
    dc, dn, dm = (
        np.zeros_like(part) if gradient is None else to_array(gradient)
        for gradient, part in zip(given, last, strict=True)
    )
    # the true memory is c exp(m): at fixed truth, a larger m means a smaller c
    return Memory(dc, dn, dm - (dc * last.c).sum((-2, -1)) - (dn * last.n).sum(-1))


def _backward(
    ctx: Any,
    kept: _Kept,
    up: Tensor,
    weights: PackedWeights,
    state: list[Tensor | None],
    dy: Tensor,
    last: Memory,
    dlast: tuple[Tensor | None, ...],
) -> tuple[Tensor | None, ...]:
    """Return the gradients of up, of the packed weights and of the state."""
    plan, heads = ctx.plan, ctx.heads
    inner, given = len(weights.norm), state[0] is not None
    width = inner // heads
    ups, packed = to_array(up), _to_arrays(weights, plan.quads)
    first, window = _begin(state, heads, inner, len(weights.taps))
    none = make_memory(0, heads, width, width)
    ends = _end_gradients(last, dlast, none)
    starts = make_memory(len(plan.work.bounds) - 1, heads, width, width) if given else none
    back = Back(*(np.ascontiguousarray(m.swapaxes(1, 2)) for m in (packed.query, packed.key, packed.value)))
    aligned = (torch.zeros(part.shape, dtype=torch.float32).numpy() for part in (kept.x, ups))
    tokens = (*aligned, np.empty_like(kept.i), np.empty_like(kept.f))
    shares = len(plan.work.bins) - 1
    found = [
        Found(*tokens, *(np.zeros_like(x) for x in (*packed[2:6], packed.norm, packed.skip)))
        for _ in range(shares)
    ]
    seen = Kept(kept.x, ups, kept.i, kept.f, kept.h, to_array(dy))
    run_threads(
        lambda thread: unmix(
            thread,
            seen,
            packed,
            ctx.turn,
            back,
            plan.work,
            plan.group,
            plan.eps,
            kept.trace,
            given,
            ends,
            starts,
            found[thread],
        ),
        shares,
    )
    dx, dup, di, df = tokens
    gates, taps, dwindow = _leave(plan, ups, window, packed, kept.x, dx, dup, di, df)
    sums = [np.sum([getattr(part, name) for part in found], axis=0) for name in Found._fields[4:]]
    dweights = (taps[:-1], taps[-1], *sums[:4], gates[: 2 * inner], gates[2 * inner], *sums[4:])
    dstate = (*starts, dwindow) if given else ()
    return (
        torch.from_numpy(dup),
        *(torch.from_numpy(x) for x in dweights),
        *((torch.from_numpy(x) for x in dstate) if given else [None] * 4),
    )


def _leave(
    plan: Plan, ups: np.ndarray, window: np.ndarray, packed: Packed, x: np.ndarray, dx: np.ndarray, dup: np.ndarray,
    di: np.ndarray, df: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Go back through gates and convolution: complete dup, return the gradients of gates, taps and window."""
    threads, inner, width = count_threads(), x.shape[1], packed.gates.shape[1]
    dgates = np.zeros((len(x), width), np.float32)
    dgates[:, : di.shape[1]], dgates[:, di.shape[1] : 2 * di.shape[1]] = di, df
    gates_back = np.ascontiguousarray(packed.gates.T)
    gates = np.zeros((threads, 2 * inner + 1, width), np.float32)
    taps = np.zeros((threads, len(packed.taps) + 1, inner), np.float32)
    dwindow = np.zeros_like(window)
    run_threads(
        lambda thread: leave(
            thread, threads, ups, window, packed, gates_back, plan.tiles, x, dgates, dx, dup, gates[thread]
        ),
        threads,
    )
    run_threads(
        lambda thread: leave_convolution(
            thread, threads, ups, window, packed, plan.tiles, dx, dup, dwindow, taps[thread]
        ),
        threads,
    )
    return gates.sum(0), taps.sum(0), dwindow


def mix_numba(
    up: Tensor,
    weights: PreparedWeights,
    *,
    eps: float,
    state: tuple[MlstmState, Tensor] | None,
    cu_seqlens: Tensor | None,
    reverse: bool,
    with_state: bool,
    rotation: Rotation | None = None,
) -> tuple[Tensor, tuple[MlstmState, Tensor] | None]:
    """Run the fused layer; see `bio_xlstm.kernels.mixer.mlstm_mixer` for shapes."""
    (batch, time, _), plain = up.shape, weights.plain
    inner, heads, (taps, block) = plain.inner, plain.heads, (plain.conv.shape[1], plain.query.shape[2])
    bounds = find_bounds(batch, time, cu_seqlens)
    plan = _plan(bounds, inner, heads, block, reverse, eps, count_threads())
    turn, flat = make_turn(rotation), up.flatten(0, 1).float()  # (T, 2 I)
    before: tuple[Tensor | None, ...] = (None,) * 4
    if state is not None:
        before = tuple(part.float() for part in (*state[0], state[1]))
    # what was laid out earlier leads no gradients to the weights
    tensors = (flat, *pack(plain), *before) if torch.is_grad_enabled() else ()
    if any(x is not None and x.requires_grad for x in tensors):
        y, *last = _Fused.apply(plan, turn, heads, with_state, *tensors)
    else:
        first, window = _begin(before, heads, inner, taps)
        arrays = _shared_arrays(weights, plan.quads)
        y, memory, _ = _forward(plan, heads, flat, arrays, turn, first, window, False, with_state)
        last = [torch.from_numpy(part) for part in memory]
    y = y.to(up.dtype).unflatten(0, (batch, time))
    if not with_state:
        return y, None
    window_after = carry_window(up.flatten(0, 1)[:, :inner], before[3], bounds, taps, reverse)
    return y, (MlstmState(*last), window_after)
