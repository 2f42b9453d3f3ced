"""The chunkwise mLSTM in plain torch: differentiable, any device, exact gradients.

Equations: Tiled Flash Linear Attention (arXiv 2503.14376) for the chunks, xLSTM (arXiv 2405.04517) equations 87-105
for the gradient through the normaliser. The normaliser is one more value channel that holds ones, so that n is the last
column of c. With m fixed, c and h do not depend on it except through the constant added to the normaliser; that small
path, and the m of the final state, follow the running maximum back to the gate it came from.
"""

from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid

from bio_xlstm.kernels.mlstm.decay import Decay, decay_tile, route_stabiliser, scan_gates
from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.mlstm.state import MlstmState, state_dtype
from bio_xlstm.kernels.mlstm.tiles import Plan, Segment, load, plan_tiles, store

SEGMENT_ROWS = 8192  # tokens times heads handled at once: enough for BLAS, few enough for the cache
CHUNK_SIZES = (16, 32, 64, 128)


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


def _load_tile(plan: Plan, segment: Segment, q: Tensor, k: Tensor, v: Tensor, log_i: Tensor, log_f: Tensor) -> Tile:
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


def _matmul(a: Tensor, b: Tensor) -> Tensor:
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


def _scan_memory(keep: Tensor, update: Tensor, waves: tuple[int, ...], memory: Tensor, backwards: bool) -> Tensor:
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


def _forward_segment(
    tile: Tile, segment: Segment, form: Form, memory: Tensor, m_state: Tensor, fresh: bool
) -> tuple[Tensor, Trace]:
    """Return h (G, H, L, V) of one segment and its trace; advance memory and m_state in place."""
    decay = scan_gates(tile.log_i, tile.log_f)
    if form.stabilise:
        m_in, m = _scan_m(decay, segment.waves, m_state)
    else:
        m_in, m = torch.zeros_like(decay.prefix[..., 0]), torch.zeros_like(decay.prefix)
    weights = _weights(decay, m_in, m)
    scores = _matmul(tile.q, tile.k.mT).mul_(decay_tile(decay, tile.log_i, m))  # (G, H, L, L)
    out = _matmul(scores, tile.v)  # (G, H, L, V + 1)
    written = (tile.k * weights.write).mT  # (G, H, K, L)
    entering = None
    if fresh:
        torch.bmm(written.flatten(0, 1), tile.v.flatten(0, 1), out=memory.flatten(0, 1))
    else:
        update = _matmul(written, tile.v)  # (G, H, K, V + 1)
        entering = _scan_memory(weights.keep, update, segment.waves, memory, backwards=False)
        out.addcmul_(_matmul(tile.q, entering), weights.read)
    if form.normalize:
        amount, floor = out[..., -1], torch.exp(-m)
        scale = 1 / (torch.maximum(amount.abs(), floor) + EPS)
        sign = torch.sign(amount) * (amount.abs() > floor)
    else:
        scale, sign = torch.exp(m), torch.zeros_like(m)
    if tile.padding is not None:
        scale = scale.masked_fill(tile.padding, 0)
    return out[..., :-1] * scale[..., None], Trace(entering, m_in, m, scale, sign)


class _Gradients(NamedTuple):
    """Hold the gradients of one segment, laid out like its tile."""

    q: Tensor
    k: Tensor
    v: Tensor
    log_i: Tensor
    log_f: Tensor


def _backward_segment(
    tile: Tile,
    segment: Segment,
    form: Form,
    trace: Trace,
    h: Tensor,
    dh: Tensor,
    dmemory: Tensor,
    dm_state: Tensor,
    silent: bool,
) -> _Gradients:
    """Return the gradients of one segment; carry dmemory and dm_state to its beginning in place.

    ``silent`` says that no gradient arrives from behind the segment's only wave.
    """
    decay = scan_gates(tile.log_i, tile.log_f)
    weights = _weights(decay, trace.m_in, trace.m)
    through = (dh * h).sum(-1) * trace.scale  # (G, H, L) minus the gradient of the normaliser
    dout = torch.empty_like(tile.v)  # (G, H, L, V + 1) gradient of numerator and normaliser
    torch.mul(dh, trace.scale[..., None], out=dout[..., :-1])
    torch.mul(through, -trace.sign, out=dout[..., -1])

    # inside the chunk
    shares = decay_tile(decay, tile.log_i, trace.m)
    scores = _matmul(tile.q, tile.k.mT).mul_(shares)  # (G, H, L, L)
    dscores = _matmul(dout, tile.v.mT)
    dv = _matmul(scores.mT, dout)
    dlog = scores.mul_(dscores)  # (G, H, L, L) gradient of the logarithm of each share
    dscores.mul_(shares)
    later = torch.ones(h.shape[2], h.shape[2], dtype=h.dtype, device=h.device).triu()  # one where column >= row
    crossing = torch.matmul(later, dlog)  # row l: what tokens i >= l read from token j
    dlog_i = crossing[..., 0, :].clone()
    dlog_f = (crossing.tril_(-1)).sum(-1)

    # from the memory that enters
    if trace.memory is None:
        dq = _matmul(dscores, tile.k)
    else:
        dq = _matmul(dout, trace.memory.mT).mul_(weights.read)
        dlog_f += (dq * tile.q).sum(-1) @ later.T
        _add_matmul(dq, dscores, tile.k)
    # to the memory that leaves
    if silent:
        dk = _matmul(dscores.mT, tile.q)
        if trace.memory is not None:
            dmemory[: segment.waves[0]] = _matmul((tile.q * weights.read).mT, dout)
    else:
        update = _matmul((tile.q * weights.read).mT, dout)
        leaving = _scan_memory(weights.keep, update, segment.waves, dmemory, backwards=True)  # (G, H, K, V + 1)
        dk = _matmul(tile.v, leaving.mT).mul_(weights.write)
        written = (dk * tile.k).sum(-1)  # (G, H, L)
        dlog_i += written
        dlog_f += written @ later.triu(1)
        if trace.memory is not None:
            dlog_f += ((leaving * trace.memory).sum((-2, -1)) * weights.keep[..., 0, 0])[..., None]
        _add_matmul(dk, dscores.mT, tile.q)
        dv.addcmul_(_matmul(tile.k, leaving), weights.write)
    if form.stabilise:
        own = through * (-EPS if form.normalize else 0.0)
        _add_stabiliser(tile, segment, trace, own, dm_state, dlog_i, dlog_f)
    return _Gradients(dq.mul_(tile.q.shape[-1] ** -0.5), dk, dv[..., :-1], dlog_i, dlog_f)


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


def _join(c: Tensor | None, n: Tensor | None, plan: Plan, like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return c and n as one memory (N, H, K, V + 1), sequences in the order of the plan; without them, unfilled."""
    if c is None or n is None:
        return like.new_empty(shape)
    memory = torch.cat([c, n[..., None]], dim=-1)
    return memory if plan.order is None else memory.index_select(0, plan.order)


def _restore(x: Tensor, plan: Plan) -> Tensor:
    """Put rows from the order of the plan back into the order of the input."""
    return x if plan.order is None else torch.empty_like(x).index_copy_(0, plan.order, x)


def _arrange(x: Tensor, plan: Plan) -> Tensor:
    """Return a copy of rows in the order of the plan."""
    return x.clone() if plan.order is None else x.index_select(0, plan.order)


def _forward(
    plan: Plan,
    form: Form,
    tokens: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    state: tuple[Tensor | None, Tensor | None, Tensor | None],
    traces: list[Trace] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return h (T, H, V), the last memory (N, H, K, V + 1) and m (N, H), both in the order of the plan."""
    q, _, v, log_i, _ = tokens
    heads, width = v.shape[1:]
    shape = (plan.sequences, heads, q.shape[-1], width + 1)
    memory = _join(state[0], state[1], plan, log_i, shape)
    # the stabiliser of an empty memory is the maximum over no tokens
    empty = -torch.inf if form.stabilise else 0.0
    m = log_i.new_full(shape[:2], empty) if state[2] is None else _arrange(state[2], plan)
    h = v.new_empty(plan.tokens + 1, heads, width)
    for segment in plan.segments:
        tile = _load_tile(plan, segment, *tokens)
        empty = state[0] is None and segment.first
        fresh = empty and len(segment.waves) == 1
        if empty and not fresh:
            memory[segment.group] = 0
        rows, trace = _forward_segment(tile, segment, form, memory[segment.group], m[segment.group], fresh)
        store(plan, segment, rows, h)
        if traces is not None:
            traces.append(trace)
    return h[: plan.tokens], memory, m


class _Chunkwise(torch.autograd.Function):
    """Differentiate the chunkwise mLSTM; keeps the memory entering each chunk and recomputes everything inside."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, form: Form, *inputs: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run all segments and keep their traces."""
        ctx.set_materialize_grads(False)
        tokens, state = inputs[:5], inputs[5:]
        ctx.plan, ctx.form, ctx.traces = plan, form, []
        h, memory, m = _forward(plan, form, tokens, state, ctx.traces)  # type: ignore[arg-type]
        ctx.save_for_backward(*inputs, h, memory)
        memory = _restore(memory, plan)
        return h, memory[..., :-1].contiguous(), memory[..., -1].contiguous(), _restore(m, plan)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, dh: Tensor | None, dc: Tensor | None, dn: Tensor | None, dm: Tensor | None) -> Any:
        """Walk the segments from the last to the first."""
        *inputs, h, memory = ctx.saved_tensors
        return None, None, *_backward(ctx.plan, ctx.form, inputs, h, memory, ctx.traces, (dh, dc, dn, dm))


def _last_gradients(
    plan: Plan, memory: Tensor, dc: Tensor | None, dn: Tensor | None, dm: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the last memory and of the last m, everything m scales included."""
    dmemory = torch.zeros_like(memory)
    if dc is not None:
        dmemory[..., :-1] = _arrange(dc, plan)
    if dn is not None:
        dmemory[..., -1] = _arrange(dn, plan)
    dm_state = memory.new_zeros(memory.shape[:2]) if dm is None else _arrange(dm, plan)
    # the true memory is c exp(m): at fixed truth, a larger m means a smaller c
    return dmemory, dm_state - (dmemory * memory).sum((-2, -1))


def _backward(
    plan: Plan,
    form: Form,
    inputs: list[Tensor],
    h: Tensor,
    memory: Tensor,
    traces: list[Trace],
    given: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None],
) -> tuple[Tensor | None, ...]:
    """Return the gradients of q, k, v, log i, log f, c, n, m."""
    tokens, c = inputs[:5], inputs[5]
    dh = torch.zeros_like(h) if given[0] is None else given[0]
    no_end = all(gradient is None for gradient in given[1:])
    if no_end:
        dmemory, dm_state = torch.zeros_like(memory), memory.new_zeros(memory.shape[:2])
    else:
        dmemory, dm_state = _last_gradients(plan, memory, *given[1:])
    outputs = [x.new_empty(plan.tokens + 1, *x.shape[1:]) for x in tokens]
    for segment, trace in zip(reversed(plan.segments), reversed(traces), strict=True):
        tile = _load_tile(plan, segment, *tokens)
        rows, drows = (load(plan, segment, x).to(tile.q.dtype) for x in (h, dh))
        silent = no_end and segment.last and len(segment.waves) == 1
        group = segment.group
        gradients = _backward_segment(
            tile, segment, form, trace, rows, drows, dmemory[group], dm_state[group], silent
        )
        for gradient, output in zip(gradients, outputs, strict=True):
            store(plan, segment, gradient, output)
    token_gradients = tuple(output[: plan.tokens] for output in outputs)
    if c is None:
        return *token_gradients, None, None, None
    first = _join(c, inputs[6], plan, c, ())
    dm_state += (dmemory * first).sum((-2, -1))
    dmemory = _restore(dmemory, plan)
    return *token_gradients, dmemory[..., :-1], dmemory[..., -1], _restore(dm_state, plan)


def choose_chunk(lengths: list[int], heads: int, key: int, value: int) -> int:
    """Return the chunk size that is cheapest by a count of multiply-adds and memory accesses.

    Long chunks spend more inside their (L, L) tiles, short ones more on the memory carried between them.
    """

    def cost(size: int) -> float:
        chunks = [-(-length // size) for length in lengths]
        total, later = sum(chunks), sum(chunks) - len(chunks)
        inside = total * size * size * (key + value)
        # the constants are fitted to timings on a CPU with AVX2
        between = ((total + later) * size + 48 * later) * key * value
        return heads * (inside + between) + 200_000 * max(chunks)

    return min(CHUNK_SIZES, key=cost)


def mlstm_torch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    f: Tensor,
    *,
    state: MlstmState | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    input_gate: str = "exp",
    normalize: bool = True,
    chunk_size: int | None = None,
) -> tuple[Tensor, MlstmState]:
    """Run the mLSTM chunk by chunk; see `bio_xlstm.kernels.mlstm.mlstm` for shapes (rounds chunk_size to 2**n)."""
    batch, time, heads, key = q.shape
    dtype = state_dtype(v.dtype)
    bounds = tuple(range(0, batch * time + 1, time)) if cu_seqlens is None else tuple(cu_seqlens.tolist())
    lengths = [stop - start for start, stop in pairwise(bounds)]
    size = choose_chunk(lengths, heads, key, v.shape[-1]) if chunk_size is None else 1 << (chunk_size - 1).bit_length()
    plan = plan_tiles(bounds, size, heads, max(1, SEGMENT_ROWS // (size * heads)), reverse, q.device)
    form = Form(input_gate == "exp", normalize)
    log_f = logsigmoid(f.to(dtype))
    log_i = i.to(dtype) if form.stabilise else logsigmoid(i.to(dtype))
    tokens = tuple(x.flatten(0, 1) for x in (q, k, v, log_i, log_f))
    first: tuple[Tensor | None, ...] = (None, None, None)
    if state is not None:
        c, n, m = (part.to(dtype) for part in state)
        if not form.stabilise:
            # sigmoid gates never exceed one, so the true scale is safe and m stays zero
            c, n, m = c * m.exp()[..., None, None], n * m.exp()[..., None], torch.zeros_like(m)
        first = (c, n, m)
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (*tokens, *first)):
        h, c, n, m = _Chunkwise.apply(plan, form, *tokens, *first)
    else:
        h, memory, m = _forward(plan, form, tokens, first, None)  # type: ignore[arg-type]
        memory, m = _restore(memory, plan), _restore(m, plan)
        c, n = memory[..., :-1].contiguous(), memory[..., -1].contiguous()
    return h.unflatten(0, (batch, time)), MlstmState(c, n, m)
