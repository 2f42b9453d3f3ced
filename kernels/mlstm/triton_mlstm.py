"""The mLSTM on a GPU: two levels of tiles, exact gradients, sequences of any length.

Equations: Tiled Flash Linear Attention (arXiv 2503.14376) for the two levels, xLSTM (arXiv 2405.04517) equations 87-105
for the gradient through the normaliser. Chunks of tokens pass a memory on; inside a chunk tiles of queries meet tiles
of keys, so a chunk may be long and few memories are ever written.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bio_xlstm.kernels.autograd import first_order
from bio_xlstm.kernels.mlstm.state import MlstmState
from bio_xlstm.kernels.mlstm.triton_gate_gradients import backward_gates, backward_normaliser
from bio_xlstm.kernels.mlstm.triton_gates import Gates, prepare_gates
from bio_xlstm.kernels.mlstm.triton_gradients import backward_pairs
from bio_xlstm.kernels.mlstm.triton_memory import Memories, scan_memory, sum_updates
from bio_xlstm.kernels.mlstm.triton_output import read_outputs
from bio_xlstm.kernels.mlstm.triton_plan import SEGMENT, Plan, choose_sizes, plan_chunks


class Form(NamedTuple):
    """Say which mLSTM it is."""

    stabilise: bool  # exponential input gate
    normalize: bool


class Trace(NamedTuple):
    """Keep what the backward pass needs beside the inputs and the gates; memories are computed again."""

    h: Tensor  # (T, H, V)
    amount: Tensor  # (T, H) n.q
    last: Tensor  # (N, H, K * V + K) memory behind each sequence


class Given(NamedTuple):
    """Hold the gradients that arrive."""

    h: Tensor  # (T, H, V)
    last: Tensor | None  # (N, H, K * V + K)
    m: Tensor  # (N, H)


def _join(c: Tensor | None, n: Tensor | None) -> Tensor | None:
    """Return c and n as one memory (N, H, K * V + K)."""
    return None if c is None or n is None else torch.cat([c.flatten(-2), n], dim=-1)


def _split(memory: Tensor, key: int) -> tuple[Tensor, Tensor]:
    """Return c (N, H, K, V) and n (N, H, K) of a memory."""
    c, n = memory.split([memory.shape[-1] - key, key], dim=-1)
    return c.unflatten(-1, (key, -1)).contiguous(), n.contiguous()


def _enter(plan: Plan, gates: Gates, k: Tensor, v: Tensor, entry: Tensor | None) -> Memories:
    """Return the memory entering each chunk and the last one."""
    update = sum_updates(plan, k, v, gates.write, gates.write)
    return scan_memory(plan, update, gates.keep, entry)


def _forward(
    plan: Plan, form: Form, tokens: tuple[Tensor, ...], entry: Tensor | None, m: Tensor | None
) -> tuple[Trace, Gates, Tensor]:
    """Return outputs, gate products and the last m (N, H), from the memory and m before the first token."""
    q, k, v, log_i, log_f = tokens
    with torch.cuda.device_of(q):
        gates, m_last = prepare_gates(plan, log_i, log_f, m, form.stabilise)
        memory = _enter(plan, gates, k, v, entry)
        empty = entry is None and plan.longest == 1
        entering = None if empty else memory.entering
        h, amount = read_outputs(plan, gates, q, k, v, entering, form.normalize)
    return Trace(h, amount, memory.last), gates, m_last


def _backward(
    plan: Plan,
    form: Form,
    tokens: tuple[Tensor, Tensor, Tensor],
    entry: Tensor | None,
    gates: Gates,
    trace: Trace,
    given: Given,
) -> tuple[list[Tensor], Tensor | None, Tensor]:
    """Return the gradients of q, k, v, log i, log f, of the entering memory, and of m before the first token."""
    q, k, v = tokens
    form_flags = (form.normalize, form.stabilise)
    with torch.cuda.device_of(q):
        outer = backward_normaliser(plan, gates, trace.h, given.h, trace.amount, q.shape[2], *form_flags)
        memory, leaving, overlap, dentry = None, None, None, None
        if entry is not None or plan.longest > 1:
            memory = _enter(plan, gates, k, v, entry).entering
        if entry is not None or plan.longest > 1 or given.last is not None:
            update = sum_updates(plan, q, given.h, outer.c_weight, outer.n_weight)
            scan = scan_memory(plan, update, gates.keep, given.last, backwards=True, other=memory)
            leaving, dentry, overlap = scan
        dq, dk, dv, pairs = backward_pairs(
            plan, gates, tokens, given.h, outer.scale, outer.damount, memory, leaving
        )
        di, df, dm = backward_gates(plan, gates, outer, pairs, overlap, given.m, form.stabilise)
    return [dq, dk, dv, di, df], dentry, dm


class _TwoLevel(torch.autograd.Function):
    """Differentiate the mLSTM through h and through the final state."""

    @staticmethod
    def forward(
        ctx: Any, plan: Plan, form: Form, *inputs: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the kernels and keep the gate products."""
        ctx.set_materialize_grads(False)
        tokens, (c, n, m) = inputs[:5], inputs[5:]
        trace, gates, m_last = _forward(plan, form, tokens, _join(c, n), m)  # type: ignore[arg-type]
        ctx.plan, ctx.form = plan, form
        ctx.save_for_backward(*inputs, *gates, *trace)
        return trace.h, *_split(trace.last, tokens[0].shape[2]), m_last  # type: ignore[union-attr]

    @staticmethod
    @first_order
    def backward(ctx: Any, dh: Tensor | None, dc: Tensor | None, dn: Tensor | None, dm: Tensor | None) -> Any:
        """Gather what arrives, run the kernels, and split what comes out."""
        saved = ctx.saved_tensors
        (q, k, v, _, _, c, n, _), gates, trace = saved[:8], Gates(*saved[8:16]), Trace(*saved[16:])
        key, width = q.shape[2], trace.last.shape[2]
        dh = torch.zeros_like(trace.h) if dh is None else dh.contiguous()
        dm = torch.zeros_like(trace.last[..., 0]) if dm is None else dm
        dlast = None
        if dc is not None or dn is not None:
            dlast = torch.zeros_like(trace.last)
            if dc is not None:
                dlast[..., : width - key] = dc.flatten(-2)
            if dn is not None:
                dlast[..., width - key :] = dn
            # the true memory is c exp(m): at fixed truth, a larger m means a smaller c
            dm = dm - (dlast * trace.last).sum(-1)
        entry = _join(c, n)
        given = Given(dh, dlast, dm)
        gradients, dentry, dm = _backward(ctx.plan, ctx.form, (q, k, v), entry, gates, trace, given)
        if entry is None or dentry is None:
            return None, None, *gradients, None, None, None
        dm = dm + (dentry * entry).sum(-1)
        return None, None, *gradients, *_split(dentry, key), dm


def mlstm_triton(
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
    """Run the mLSTM in fused kernels; see `bio_xlstm.kernels.mlstm.mlstm` for shapes (rounds chunk_size up).

    Raises:
        ValueError: an input is float64; the kernels count in float32.
    """
    if torch.float64 in {x.dtype for x in (q, k, v, i, f)}:
        raise ValueError("mlstm: the triton backend counts in float32, float64 needs backend 'torch'")
    batch, time = q.shape[:2]
    bounds = tuple(range(0, batch * time + 1, time)) if cu_seqlens is None else tuple(cu_seqlens.tolist())
    longest = max(stop - start for start, stop in pairwise(bounds))
    # float32 products keep their operands in twice the space
    limit = 64 if q.dtype == k.dtype == v.dtype == torch.bfloat16 else 32
    tile, tiles = choose_sizes(longest, max(q.shape[3], v.shape[3]), chunk_size, limit)
    plan = plan_chunks(bounds, tile, tiles, reverse, SEGMENT, q.device)
    form = Form(input_gate == "exp", normalize)
    log_f = logsigmoid(f.float())
    log_i = i.float() if form.stabilise else logsigmoid(i.float())
    tokens = tuple(x.flatten(0, 1).contiguous() for x in (q, k, v, log_i, log_f))
    first: tuple[Tensor | None, ...] = (None, None, None)
    if state is not None:
        c, n, m = (part.float() for part in state)
        if not form.stabilise:
            # sigmoid gates never exceed one, so the true scale is safe and m stays zero
            c, n, m = c * m.exp()[..., None, None], n * m.exp()[..., None], torch.zeros_like(m)
        first = (c, n, m)
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (*tokens, *first)):
        h, c, n, m = _TwoLevel.apply(plan, form, *tokens, *first)
    else:
        trace, _, m = _forward(plan, form, tokens, _join(*first[:2]), first[2])
        h, (c, n) = trace.h, _split(trace.last, q.shape[3])
    return h.unflatten(0, (batch, time)), MlstmState(c, n, m)
