"""What every fast sLSTM shares: where the tokens stand, one autograd function, and the gradients that are products.

A backend gives two scans. The forward scan reads the tokens and keeps the gate pre-activations and now and then the
memory; the backward scan reads it all from the end and returns the gradients of the pre-activations.

The backward scan carries the gradients of q = c / n and of l = m + log(n), the true logarithm of the normaliser: with
a = exp(i - l) the share of the new token, q moves towards tanh(z) by that share. Nothing cancels there, which the
gradients of c, n and m would do: the outputs do not depend on the scale m, so those three balance each other. The
gradient of a final m follows the running maximum back to the gate it came from.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from bio_xlstm.kernels.autograd import first_order
from bio_xlstm.kernels.slstm.state import SlstmState, state_dtype, zero_state

SEGMENT = 16  # tokens between two kept memories


class Layout(NamedTuple):
    """Say where the tokens of each sequence stand; longest sequence first."""

    order: Tensor  # (N,) int64 which sequence it is
    start: Tensor  # (N,) int64 the token read first
    length: Tensor  # (N,) int64
    mark: Tensor  # (N,) int64 index of its first kept memory
    marks: int  # kept memories of all sequences
    lengths: tuple[int, ...]  # the same as length
    direction: int  # 1, or -1 when read right to left


class Adjoint(NamedTuple):
    """Hold gradients of the memory: of h, of c at fixed l, of l, and of m where it is the running maximum."""

    h: Tensor  # (N, H, K)
    c: Tensor  # (N, H, K)
    l: Tensor  # (N, H, K)  # noqa: E741 - the letter of the docstring above
    m: Tensor  # (N, H, K)


class Scan(Protocol):
    """Run the recurrence over flat tokens (T, H, ...) in one direction of time and back; all tensors contiguous."""

    def forward(
        self, x: Tensor, r: Tensor, b: Tensor, state: SlstmState, layout: Layout, keep: bool
    ) -> tuple[Tensor, SlstmState, tuple[Tensor, ...]]:
        """Return y (T, H, K), the final state and, if asked to keep it, what the way back needs."""

    def backward(
        self, kept: Sequence[Tensor], r: Tensor, dy: Tensor, end: Adjoint, layout: Layout
    ) -> tuple[Tensor, SlstmState]:
        """Return the gradients of x (T, H, 4, K) and of the initial state."""


# what is kept must serve training too, even if inference asked for it first
@lru_cache(maxsize=32)
@torch.inference_mode(False)
def plan_layout(bounds: tuple[int, ...], reverse: bool, device: torch.device) -> Layout:
    """Sort the sequences between ``bounds`` by length."""
    lengths = [stop - start for start, stop in zip(bounds, bounds[1:], strict=False)]
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    first = [bounds[row + 1] - 1 if reverse else bounds[row] for row in order]
    counts = [-(-lengths[row] // SEGMENT) for row in order]
    mark = [0, *accumulate(counts)]
    descending = tuple(lengths[row] for row in order)
    place, start, length, begin = (
        torch.tensor(part, device=device) for part in (order, first, descending, mark[:-1])
    )
    return Layout(place, start, length, begin, mark[-1], descending, -1 if reverse else 1)


class _Slstm(torch.autograd.Function):
    """Run one scan over flat tokens and back."""

    @staticmethod
    def forward(
        ctx: Any, scan: Scan, layout: Layout, keep: bool, x: Tensor, r: Tensor, b: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        """Return y (T, H, K) and the parts of the final state."""
        dtype = state_dtype(x.dtype)
        given = SlstmState(*(part.to(dtype).contiguous() for part in state))
        inputs, weights, bias = (part.to(dtype).contiguous() for part in (x, r, b))
        y, last, kept = scan.forward(inputs, weights, bias, given, layout, keep)
        ctx.scan, ctx.layout, ctx.dtypes = scan, layout, [part.dtype for part in (x, r, b, *state)]
        if keep:
            ctx.save_for_backward(r, given.h, y, last.c, last.n, *kept)
        return y.to(x.dtype), *last

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor, dh: Tensor, dc: Tensor, dn: Tensor, dm: Tensor) -> Any:
        """Return the gradients of x, r, b and the initial state."""
        r, h, y, c_last, n_last, *kept = ctx.saved_tensors
        dtype = y.dtype
        scale = dn * n_last + dc * c_last
        end = Adjoint(*(part.contiguous() for part in (dh, dc, scale, dm - scale)))
        weights = r.to(dtype).contiguous()
        dx, dstate = ctx.scan.backward(kept, weights, dy.to(dtype).contiguous(), end, ctx.layout)
        dr = torch.bmm(_previous(y, h, ctx.layout).permute(1, 2, 0), dx.flatten(2).transpose(0, 1))
        gradients = (dx, dr.view(r.shape), dx.sum(0), *dstate)
        return None, None, None, *(g.to(dtype) for g, dtype in zip(gradients, ctx.dtypes, strict=True))


def _previous(y: Tensor, h: Tensor, layout: Layout) -> Tensor:
    """Return the output that each token read: (T, H, K)."""
    before = torch.empty_like(y)
    if layout.direction > 0:
        before[1:] = y[:-1]
    else:
        before[:-1] = y[1:]
    before[layout.start] = h[layout.order]
    return before


def run_scan(
    scan: Scan,
    x: Tensor,
    r: Tensor,
    b: Tensor,
    state: SlstmState | None,
    cu_seqlens: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, SlstmState]:
    """Read all sequences with one backend; see `bio_xlstm.kernels.slstm.slstm` for shapes."""
    batch, time, heads, _, width = x.shape
    bounds = tuple(range(0, batch * time + 1, time)) if cu_seqlens is None else tuple(cu_seqlens.tolist())
    if state is None:
        state = zero_state(len(bounds) - 1, heads, width, x.new_empty(0, dtype=state_dtype(x.dtype)))
    keep = torch.is_grad_enabled() and any(part.requires_grad for part in (x, r, b, *state))
    layout = plan_layout(bounds, reverse, x.device)
    y, *last = _Slstm.apply(scan, layout, keep, x.flatten(0, 1), r, b, *state)
    return y.view(batch, time, heads, width), SlstmState(*last)
