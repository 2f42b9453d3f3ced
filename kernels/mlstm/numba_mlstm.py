"""The mLSTM on the CPU, compiled: chunkwise, with exact gradients; computes in float32."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.kernels.autograd import first_order
from bio_xlstm.kernels.mlstm.numba_backward import Gradients, Inputs, backward
from bio_xlstm.kernels.mlstm.numba_forward import Memory, Trace, Work, forward
from bio_xlstm.kernels.mlstm.state import MlstmState
from bio_xlstm.kernels.mlstm.work import share_out, to_array
from bio_xlstm.kernels.packing import find_bounds
from bio_xlstm.kernels.threads import count_threads, run_threads

CHUNK_SIZES = (16, 32, 48, 64, 80, 96, 112, 128)


def choose_size(longest: int, key: int, value: int) -> int:
    """Return the chunk length that takes least time: one chunk for short sequences, short chunks for long ones."""

    def cost(size: int) -> float:
        # per token: half a triangle of scores, and reading and writing the memory unless one chunk holds all
        inside = min(size, longest) / 2 * (key + value + 16)
        across = 0 if size >= longest else 2 * key * value * (1 + 16 / size)
        return inside + across

    return min(CHUNK_SIZES, key=cost)


def plan_work(bounds: tuple[int, ...], heads: int, size: int, reverse: bool) -> Work:
    """Share the sequences out to the threads."""
    return Work(*share_out(bounds, heads, size, count_threads()), size, reverse)


def make_memory(sequences: int, heads: int, key: int, value: int) -> Memory:
    """Allocate memories."""
    return Memory(
        np.empty((sequences, heads, key, value), np.float32),
        np.empty((sequences, heads, key), np.float32),
        np.empty((sequences, heads), np.float32),
    )


def make_trace(chunks: int, tokens: int, heads: int, key: int, value: int) -> Trace:
    """Allocate what a forward pass keeps."""
    return Trace(*make_memory(chunks, heads, key, value), np.empty((tokens, heads), np.float32))


class _Compiled(torch.autograd.Function):
    """Differentiate the compiled mLSTM; keeps the memory before each chunk."""

    @staticmethod
    def forward(
        ctx: Any, work: Work, form: tuple[bool, bool], *inputs: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Read the sequences and keep the trace."""
        ctx.set_materialize_grads(False)
        h, last, trace = _read(work, form, inputs[:5], inputs[5:], keep=True)  # type: ignore[arg-type]
        ctx.work, ctx.form = work, form
        ctx.save_for_backward(*inputs, h, *last, *(torch.from_numpy(part) for part in trace))
        return h, *last

    @staticmethod
    @first_order
    def backward(ctx: Any, dh: Tensor | None, dc: Tensor | None, dn: Tensor | None, dm: Tensor | None) -> Any:
        """Walk the sequences back."""
        saved = ctx.saved_tensors
        inputs, (h, c, n, m, *kept) = saved[:8], saved[8:]
        trace = Trace(*(to_array(part) for part in kept))
        found = _return(ctx.work, ctx.form, list(inputs), h, MlstmState(c, n, m), trace, (dh, dc, dn, dm))
        return None, None, *found


def _read(
    work: Work,
    form: tuple[bool, bool],
    tokens: tuple[Tensor, ...],
    state: tuple[Tensor | None, ...],
    keep: bool,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor], Trace]:
    """Return h (T, H, V), the last memories, and the trace where it is to be kept."""
    (total, heads, key), value = tokens[0].shape, tokens[2].shape[-1]
    sequences, chunks = len(work.bounds) - 1, int(work.chunks[-1])
    first = make_memory(0, heads, key, value)
    if state[0] is not None:
        first = Memory(*(to_array(part) for part in state))  # type: ignore[arg-type]
    last = make_memory(sequences, heads, key, value)
    trace = make_trace(chunks if keep else 0, total if keep else 0, heads, key, value)
    h = np.empty((total, heads, value), np.float32)
    q, k, v, i, f = (to_array(x) for x in tokens)
    run_threads(
        lambda thread: forward(thread, q, k, v, i, f, work, *form, first, last, trace, h), len(work.bins) - 1
    )
    c, n, m = (torch.from_numpy(part) for part in last)
    return torch.from_numpy(h), (c, n, m), trace


def _return(
    work: Work,
    form: tuple[bool, bool],
    inputs: list[Tensor | None],
    h: Tensor,
    last: MlstmState,
    trace: Trace,
    given: tuple[Tensor | None, ...],
) -> tuple[Tensor | None, ...]:
    """Return the gradients of q, k, v, i, f and of the first memory."""
    tokens = [to_array(x) for x in inputs[:5]]  # type: ignore[arg-type]
    with_state = inputs[5] is not None
    (_, heads, key), value = tokens[0].shape, tokens[2].shape[-1]
    dlast = make_memory(0, heads, key, value)
    if any(gradient is not None for gradient in given[1:]):
        dc, dn, dm = (
            torch.zeros_like(part) if gradient is None else gradient
            for gradient, part in zip(given[1:], last, strict=True)
        )
        # the true memory is c exp(m): at fixed truth, a larger m means a smaller c
        dm = dm - (dc * last.c).sum((-2, -1)) - (dn * last.n).sum(-1)
        dlast = Memory(*(to_array(part) for part in (dc, dn, dm)))
    dfirst = make_memory(len(work.bounds) - 1 if with_state else 0, heads, key, value)
    gradients = Gradients(*(np.empty_like(x) for x in tokens))
    dh = torch.zeros_like(h) if given[0] is None else given[0]
    q, k, v, i, f = tokens
    kept = Inputs(q, k, v, i, f, to_array(h), to_array(dh))
    run_threads(
        lambda thread: backward(thread, kept, work, *form, trace, with_state, dlast, dfirst, gradients),
        len(work.bins) - 1,
    )
    found: list[Tensor | None] = [torch.from_numpy(x) for x in gradients]
    return *found, *((torch.from_numpy(part) for part in dfirst) if with_state else (None, None, None))


def mlstm_numba(
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
    """Run the compiled mLSTM; see `bio_xlstm.kernels.mlstm.mlstm` for shapes (rounds chunk_size up to 16 n)."""
    batch, time, heads, key = q.shape
    bounds = find_bounds(batch, time, cu_seqlens)
    longest = int(np.diff(bounds).max())
    size = choose_size(longest, key, v.shape[-1]) if chunk_size is None else -(-chunk_size // 16) * 16
    work = plan_work(bounds, heads, size, reverse)
    form = (input_gate == "exp", normalize)
    tokens = tuple(x.flatten(0, 1).float() for x in (q, k, v, i, f))
    first: tuple[Tensor | None, ...] = (None, None, None)
    if state is not None:
        c, n, m = (part.float() for part in state)
        if input_gate == "sigmoid":
            # sigmoid gates never exceed one, so the true scale is safe and m stays zero
            c, n, m = c * m.exp()[..., None, None], n * m.exp()[..., None], torch.zeros_like(m)
        first = (c, n, m)
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (*tokens, *first)):
        h, c, n, m = _Compiled.apply(work, form, *tokens, *first)
    else:
        h, (c, n, m), _ = _read(work, form, tokens, first, keep=False)
    return h.to(v.dtype).unflatten(0, (batch, time)), MlstmState(c, n, m)
