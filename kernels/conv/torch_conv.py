"""The causal depthwise convolution as W shifted multiply-adds over the packed tokens.

A shift by d tokens is right everywhere but in the first W - 1 tokens of each sequence (its head), where it would read
the neighbour. The heads, together with the carried state, are a small (N, 2W - 2, C) tensor of their own.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from bio_xlstm.kernels.autograd import first_order
from bio_xlstm.kernels.conv.window import Heads, carry_window, find_heads


def _shift(x: Tensor, lag: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """Return the rows of x that have a row ``lag`` earlier in reading order, and those earlier rows."""
    late, early = x[lag:], x[: x.shape[0] - lag]
    return (early, late) if reverse else (late, early)


def _window(x: Tensor, state: Tensor, heads: Heads) -> Tensor:
    """Return the state and the head of each sequence side by side: (N, 2W - 2, C)."""
    return torch.cat([state, x[heads.token]], dim=1)


class _Conv(torch.autograd.Function):
    """Convolve flat tokens (T, C); keeps the input and the result before the activation."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        state: Tensor,
        heads: Heads,
        reverse: bool,
        activation: str,
    ) -> Tensor:
        """Return y (T, C)."""
        taps = weight.T.contiguous()  # (W, C)
        width = len(taps)
        y = x * taps[-1] if bias is None else torch.addcmul(bias, x, taps[-1])
        for lag in range(1, min(width, len(x))):
            _shift(y, lag, reverse)[0].addcmul_(_shift(x, lag, reverse)[1], taps[width - 1 - lag])
        if width > 1:
            head = (_window(x, state, heads).unfold(1, width, 1) * weight).sum(-1)  # (N, W - 1, C)
            head = head if bias is None else head + bias
            y[heads.token[heads.valid]] = head[heads.valid]
        ctx.heads, ctx.reverse, ctx.activation, ctx.has_bias = heads, reverse, activation, bias is not None
        ctx.save_for_backward(x, weight, state, y if activation == "silu" else None)
        return silu(y) if activation == "silu" else y

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> Any:
        """Return the gradients of x, weight, bias and state."""
        x, weight, state, before = ctx.saved_tensors
        heads, width = ctx.heads, weight.shape[1]
        dz = dy.clone() if before is None else torch.ops.aten.silu_backward(dy, before)
        dbias = dz.sum(0) if ctx.has_bias else None
        at = heads.token[heads.valid]
        dhead = dz.new_zeros(*heads.token.shape, x.shape[1])  # (N, W - 1, C)
        dhead[heads.valid] = dz[at]
        # tokens behind the head never read across the start of their sequence
        dz[at] = 0
        taps = weight.T.contiguous()
        dx = dz * taps[-1]
        dtaps = torch.zeros_like(taps)
        dtaps[-1] = (dz * x).sum(0)
        for lag in range(1, min(width, len(x))):
            late, early = _shift(dz, lag, ctx.reverse)[0], _shift(x, lag, ctx.reverse)[1]
            _shift(dx, lag, ctx.reverse)[1].addcmul_(late, taps[width - 1 - lag])
            dtaps[width - 1 - lag] = (late * early).sum(0)
        window = _window(x, state, heads)
        dwindow = torch.zeros_like(window)
        for tap in range(width if width > 1 else 0):
            dwindow[:, tap : tap + width - 1] += dhead * taps[tap]
            dtaps[tap] += (dhead * window[:, tap : tap + width - 1]).sum((0, 1))
        dx.index_add_(0, at, dwindow[:, width - 1 :][heads.valid])
        return dx, dtaps.T, dbias, dwindow[:, : width - 1], None, None, None


def conv_torch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    state: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    activation: str = "none",
) -> tuple[Tensor, Tensor]:
    """Convolve all sequences at once; see `bio_xlstm.kernels.conv.causal_conv` for shapes."""
    batch, time, channels = x.shape
    bounds = tuple(range(0, batch * time + 1, time)) if cu_seqlens is None else tuple(cu_seqlens.tolist())
    width = weight.shape[1]
    dtype = torch.promote_types(x.dtype, torch.float32)
    heads = find_heads(bounds, width, reverse, x.device)
    flat = x.flatten(0, 1)  # (T, C)
    before = flat.new_zeros(len(bounds) - 1, width - 1, channels) if state is None else state.to(x.dtype)
    y = _Conv.apply(
        flat.to(dtype),
        weight.to(dtype),
        None if bias is None else bias.to(dtype),
        before.to(dtype),
        heads,
        reverse,
        activation,
    )
    return y.to(x.dtype).view(batch, time, channels), carry_window(flat, before, bounds, width, reverse)
