"""The chunkwise mLSTM in plain torch: differentiable, any device, exact gradients.

Equations: Tiled Flash Linear Attention (arXiv 2503.14376) for the chunks, xLSTM (arXiv 2405.04517) equations 87-105
for the gradient through the normaliser.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bio_xlstm.kernels.autograd import first_order
from bio_xlstm.kernels.mlstm.segment import Form, Trace, backward_segment, forward_segment, load_tile
from bio_xlstm.kernels.mlstm.state import MlstmState, state_dtype
from bio_xlstm.kernels.mlstm.tiles import Plan, load, plan_tiles, store

SEGMENT_ROWS = 8192  # tokens times heads handled at once: enough for BLAS, few enough for the cache
CHUNK_SIZES = (16, 32, 64, 128)


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
    """Return h (T, H, V) in the dtype of the gates, the last memory (N, H, K, V + 1) and m (N, H), both in the
    order of the plan."""
    q, _, v, log_i, _ = tokens
    heads, width = v.shape[1:]
    shape = (plan.sequences, heads, q.shape[-1], width + 1)
    memory = _join(state[0], state[1], plan, log_i, shape)
    # the stabiliser of an empty memory is the maximum over no tokens
    empty = -torch.inf if form.stabilise else 0.0
    m = log_i.new_full(shape[:2], empty) if state[2] is None else _arrange(state[2], plan)
    # the gradients of the gates are sums over h, so it is kept as precise as they are
    h = log_i.new_empty(plan.tokens + 1, heads, width)
    for segment in plan.segments:
        tile = load_tile(plan, segment, *tokens)
        empty = state[0] is None and segment.first
        fresh = empty and len(segment.waves) == 1
        if empty and not fresh:
            memory[segment.group] = 0
        rows, trace = forward_segment(tile, segment, form, memory[segment.group], m[segment.group], fresh)
        store(plan, segment, rows, h)
        if traces is not None:
            traces.append(trace)
    return h[: plan.tokens], memory, m


class _Chunkwise(torch.autograd.Function):
    """Differentiate the chunkwise mLSTM; keeps the memory entering each chunk and recomputes everything inside."""

    @staticmethod
    def forward(
        ctx: Any, plan: Plan, form: Form, *inputs: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run all segments and keep their traces."""
        ctx.set_materialize_grads(False)
        tokens, state = inputs[:5], inputs[5:]
        ctx.plan, ctx.form = plan, form
        traces: list[Trace] = []
        h, memory, m = _forward(plan, form, tokens, state, traces)  # type: ignore[arg-type]
        # checkpointing drops what is saved here, and nothing else
        ctx.save_for_backward(*inputs, h, memory, *(part for trace in traces for part in trace))
        memory = _restore(memory, plan)
        return h, memory[..., :-1].contiguous(), memory[..., -1].contiguous(), _restore(m, plan)

    @staticmethod
    @first_order
    def backward(ctx: Any, dh: Tensor | None, dc: Tensor | None, dn: Tensor | None, dm: Tensor | None) -> Any:
        """Walk the segments from the last to the first."""
        saved = ctx.saved_tensors
        inputs, (h, memory, *parts) = saved[:8], saved[8:]
        size = len(Trace._fields)
        traces = [Trace(*parts[first : first + size]) for first in range(0, len(parts), size)]
        return None, None, *_backward(ctx.plan, ctx.form, list(inputs), h, memory, traces, (dh, dc, dn, dm))


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
        tile = load_tile(plan, segment, *tokens)
        rows, drows = (load(plan, segment, x).to(tile.q.dtype) for x in (h, dh))
        silent = no_end and segment.last and len(segment.waves) == 1
        group = segment.group
        gradients = backward_segment(
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
    size = (
        choose_chunk(lengths, heads, key, v.shape[-1])
        if chunk_size is None
        else 1 << (chunk_size - 1).bit_length()
    )
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
    return h.to(v.dtype).unflatten(0, (batch, time)), MlstmState(c, n, m)
