"""One segment of the chunkwise mLSTM, forward and backward.

The normaliser is one more value channel that holds ones, so that n is the last column of c. At fixed m neither c nor h
depends on it except through the constant added to the normaliser; that small path, and the m of the final state, follow
the running maximum back to the gate it came from.
"""

from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.kernels.mlstm.decay import Decay, decay_tile, route_stabiliser, scan_gates
from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.mlstm.tiles import Plan, Segment, load


class Form(NamedTuple):
    """Say which mLSTM it is."""

    stabilise: bool  # exponential input gate
    normalize: bool


class Trace(NamedTuple):
    """Keep what the backward pass of one segment needs beside the inputs."""

    memory: Tensor | None  # (G, H, K, V + 1) entering each chunk, None where all are zero
    m_in: Tensor  # (G, H)
    m: Tensor  # (G, H, L)
    scale: Tensor  # (G, H, L) what the numerator is multiplied with; 0 in padding slots
    sign: Tensor  # (G, H, L) d|s|/ds where |s| is the normaliser, else 0


class Tile(NamedTuple):
    """Hold the activations of one segment in the accumulation dtype; q is scaled, v carries a column of ones."""

    q: Tensor  # (G, H, L, K)
    k: Tensor  # (G, H, L, K)
    v: Tensor  # (G, H, L, V + 1)
    log_i: Tensor  # (G, H, L), -inf in padding slots
    log_f: Tensor  # (G, H, L), 0 in padding slots
    padding: Tensor | None  # (G, 1, L) true in padding slots, None without any


def load_tile(
    plan: Plan, segment: Segment, q: Tensor, k: Tensor, v: Tensor, log_i: Tensor, log_f: Tensor
) -> Tile:
    """Copy one segment of the inputs into tiles."""
    dtype, width = log_i.dtype, v.shape[-1]
    query = load(plan, segment, q).to(dtype).mul_(q.shape[-1] ** -0.5)
    channels = load(plan, segment, v)
    value = torch.empty(*channels.shape[:-1], width + 1, dtype=dtype, device=v.device)
    value[..., :width] = channels
    value[..., width] = 1
    gates = [load(plan, segment, gate) for gate in (log_i, log_f)]
    padding = None if plan.padding is None else plan.padding[segment.tiles]
    if padding is not None:
        gates[0].masked_fill_(padding, -torch.inf)
        gates[1].masked_fill_(padding, 0)
    return Tile(query, load(plan, segment, k).to(dtype), value, gates[0], gates[1], padding)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Multiply the last two axes: (G, H, ., .) x (G, H, ., .)."""
    return torch.bmm(a.flatten(0, 1), b.flatten(0, 1)).unflatten(0, a.shape[:2])


def _add_matmul(total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add a @ b to ``total`` in place."""
    total.flatten(0, 1).baddbmm_(a.flatten(0, 1), b.flatten(0, 1))
    return total


def _scan_m(decay: Decay, waves: tuple[int, ...], m: Tensor) -> tuple[Tensor, Tensor]:
    """Carry the stabiliser m (N, H) over the chunks in place; return it before every chunk and at every token."""
    total, top = decay.prefix[..., -1], decay.top[..., -1]  # (G, H)
    entering = torch.empty_like(total)
    row = 0
    for active in waves:
        rows = slice(row, row + active)
        entering[rows] = m[:active]
        torch.maximum(m[:active] + total[rows], top[rows], out=m[:active])
        row += active
    return entering, torch.maximum(decay.prefix + entering[..., None], decay.top)


def _scan_memory(
    keep: Tensor, update: Tensor, waves: tuple[int, ...], memory: Tensor, backwards: bool
) -> Tensor:
    """Carry a memory (N, H, K, V + 1) over the chunks in place; return it as it was before every chunk."""
    seen = torch.empty_like(update)
    pieces = list(zip(accumulate(waves, initial=0), waves, strict=False))
    for row, active in reversed(pieces) if backwards else pieces:
        rows = slice(row, row + active)
        seen[rows] = memory[:active]
        torch.addcmul(update[rows], memory[:active], keep[rows], out=memory[:active])
    return seen


class _Weights(NamedTuple):
    """Hold the gate products of one segment."""

    keep: Tensor  # (G, H, 1, 1) share of the entering memory left after the chunk
    read: Tensor  # (G, H, L, 1) share of the entering memory seen by each token
    write: Tensor  # (G, H, L, 1) share of each token left after the chunk


def _weights(decay: Decay, m_in: Tensor, m: Tensor) -> _Weights:
    """Exponentiate the gate sums relative to the stabiliser."""
    return _Weights(
        torch.exp(decay.prefix[..., -1] + m_in - m[..., -1])[..., None, None],
        torch.exp(decay.prefix + m_in[..., None] - m)[..., None],
        torch.exp(decay.suffix - m[..., -1:])[..., None],
    )


def forward_segment(
    tile: Tile, segment: Segment, form: Form, memory: Tensor, m_state: Tensor, fresh: bool
) -> tuple[Tensor, Trace]:
    """Return h (G, H, L, V) of one segment and its trace; advance memory and m_state in place."""
    decay = scan_gates(tile.log_i, tile.log_f)
    if form.stabilise:
        m_in, m = _scan_m(decay, segment.waves, m_state)
    else:
        m_in, m = torch.zeros_like(decay.prefix[..., 0]), torch.zeros_like(decay.prefix)
    weights = _weights(decay, m_in, m)
    scores = matmul(tile.q, tile.k.mT).mul_(decay_tile(decay, tile.log_i, m))  # (G, H, L, L)
    out = matmul(scores, tile.v)  # (G, H, L, V + 1)
    written = (tile.k * weights.write).mT  # (G, H, K, L)
    entering = None
    if fresh:
        torch.bmm(written.flatten(0, 1), tile.v.flatten(0, 1), out=memory.flatten(0, 1))
    else:
        update = matmul(written, tile.v)  # (G, H, K, V + 1)
        entering = _scan_memory(weights.keep, update, segment.waves, memory, backwards=False)
        out.addcmul_(matmul(tile.q, entering), weights.read)
    if form.normalize:
        amount, floor = out[..., -1], torch.exp(-m)
        scale = 1 / (torch.maximum(amount.abs(), floor) + EPS)
        sign = torch.sign(amount) * (amount.abs() > floor)
    else:
        scale, sign = torch.exp(m), torch.zeros_like(m)
    if tile.padding is not None:
        scale = scale.masked_fill(tile.padding, 0)
    return out[..., :-1] * scale[..., None], Trace(entering, m_in, m, scale, sign)


class Gradients(NamedTuple):
    """Hold the gradients of one segment, laid out like its tile."""

    q: Tensor
    k: Tensor
    v: Tensor
    log_i: Tensor
    log_f: Tensor


def _backward_inside(
    tile: Tile, decay: Decay, m: Tensor, dout: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of the scores q.k (G, H, L, L), of v, log i and log f inside the chunks."""
    shares = decay_tile(decay, tile.log_i, m)  # (G, H, L, L)
    scores = matmul(tile.q, tile.k.mT).mul_(shares)
    dscores = matmul(dout, tile.v.mT)
    dv = matmul(scores.mT, dout)
    dlog = scores.mul_(dscores)  # gradient of the logarithm of each share
    dscores.mul_(shares)
    crossing = torch.matmul(_later(m), dlog)  # row l: what tokens i >= l read from token j
    dlog_i = crossing[..., 0, :].clone()
    return dscores, dv, dlog_i, crossing.tril_(-1).sum(-1)


def backward_segment(
    tile: Tile,
    segment: Segment,
    form: Form,
    trace: Trace,
    h: Tensor,
    dh: Tensor,
    dmemory: Tensor,
    dm_state: Tensor,
    silent: bool,
) -> Gradients:
    """Return the gradients of one segment; carry dmemory and dm_state to its beginning in place.

    ``silent`` says that no gradient arrives from behind the segment's only wave.
    """
    decay = scan_gates(tile.log_i, tile.log_f)
    weights = _weights(decay, trace.m_in, trace.m)
    # (G, H, L) minus the gradient of the normaliser; without one, h may be so large that the product overflows
    through = (dh * h).sum(-1) * trace.scale if form.normalize else torch.zeros_like(trace.scale)
    dout = torch.empty_like(tile.v)  # (G, H, L, V + 1) gradient of numerator and normaliser
    torch.mul(dh, trace.scale[..., None], out=dout[..., :-1])
    torch.mul(through, -trace.sign, out=dout[..., -1])
    dscores, dv, dlog_i, dlog_f = _backward_inside(tile, decay, trace.m, dout)

    if trace.memory is None:
        dq = matmul(dscores, tile.k)
    else:
        dq = matmul(dout, trace.memory.mT).mul_(weights.read)
        dlog_f += (dq * tile.q).sum(-1) @ _later(trace.m).T
        _add_matmul(dq, dscores, tile.k)

    if silent:
        dk = matmul(dscores.mT, tile.q)
        if trace.memory is not None:
            dmemory[: segment.waves[0]] = matmul((tile.q * weights.read).mT, dout)
    else:
        update = matmul((tile.q * weights.read).mT, dout)  # (G, H, K, V + 1)
        leaving = _scan_memory(
            weights.keep, update, segment.waves, dmemory, backwards=True
        )  # (G, H, K, V + 1)
        dk = matmul(tile.v, leaving.mT).mul_(weights.write)
        written = (dk * tile.k).sum(-1)  # (G, H, L)
        dlog_i += written
        dlog_f += written @ _later(trace.m).triu(1)
        if trace.memory is not None:
            dlog_f += ((leaving * trace.memory).sum((-2, -1)) * weights.keep[..., 0, 0])[..., None]
        _add_matmul(dk, dscores.mT, tile.q)
        dv.addcmul_(matmul(tile.k, leaving), weights.write)
    if form.stabilise:
        _add_stabiliser(tile, segment, trace, through * -EPS, dm_state, dlog_i, dlog_f)
    return Gradients(dq.mul_(tile.q.shape[-1] ** -0.5), dk, dv[..., :-1], dlog_i, dlog_f)


def _later(like: Tensor) -> Tensor:
    """Return (L, L) ones where the column is not before the row, zeros elsewhere."""
    size = like.shape[-1]
    return torch.ones(size, size, dtype=like.dtype, device=like.device).triu()


def _add_stabiliser(
    tile: Tile, segment: Segment, trace: Trace, own: Tensor, dm_state: Tensor, dlog_i: Tensor, dlog_f: Tensor
) -> None:
    """Add the gradient of the stabiliser to the gates and carry dm_state (N, H) to the segment's beginning."""
    taken = tile.log_i >= trace.m  # (G, H, L)
    total, reach = route_stabiliser(own, taken)
    opening = (~taken[..., 0]).to(own.dtype)  # (G, H)
    local, across = total[..., 0] * opening, reach[..., 0] * opening
    behind = torch.empty_like(local)
    row = total.shape[0]
    for active in reversed(segment.waves):
        rows = slice(row - active, row)
        behind[rows] = dm_state[:active]
        torch.addcmul(local[rows], dm_state[:active], across[rows], out=dm_state[:active])
        row -= active
    total.addcmul_(reach, behind[..., None])
    dlog_i += total * taken
    dlog_f += total * ~taken
