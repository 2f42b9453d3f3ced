"""The causal depthwise convolution written out: the law that the fast backend is tested against."""

import torch
from torch import Tensor
from torch.nn.functional import silu


def step(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor, *, activation: str
) -> tuple[Tensor, Tensor]:
    """Read one token per sequence: x (N, C), state (N, W - 1, C) -> y (N, C), new state."""
    window = torch.cat([state.to(x.dtype), x[:, None]], dim=1)  # (N, W, C)
    dtype = torch.promote_types(x.dtype, torch.float32)
    y = (window.to(dtype) * weight.to(dtype).T).sum(1)  # (N, C)
    if bias is not None:
        y = y + bias.to(dtype)
    return (silu(y) if activation == "silu" else y).to(x.dtype), window[:, 1:]


def _convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor, reverse: bool, activation: str
) -> tuple[Tensor, Tensor]:
    """Convolve B sequences of equal length, all of them read in one direction."""
    width, time = weight.shape[1], x.shape[1]
    read = x.flip(1) if reverse else x
    padded = torch.cat([state.to(x.dtype), read], dim=1)  # (B, W - 1 + T, C)
    dtype = torch.promote_types(x.dtype, torch.float32)
    y = torch.zeros_like(x, dtype=dtype)
    for tap in range(width):
        y = y + padded[:, tap : tap + time].to(dtype) * weight[:, tap].to(dtype)
    if bias is not None:
        y = y + bias.to(dtype)
    y = (silu(y) if activation == "silu" else y).to(x.dtype)
    return (y.flip(1) if reverse else y), padded[:, time:]


def conv_reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    state: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    activation: str = "none",
) -> tuple[Tensor, Tensor]:
    """Convolve sequence by sequence; see `bio_xlstm.kernels.conv.causal_conv` for shapes."""
    bounds = [0, x.shape[1]] if cu_seqlens is None else cu_seqlens.tolist()
    sequences = x.shape[0] if cu_seqlens is None else len(bounds) - 1
    if state is None:
        state = x.new_zeros(sequences, weight.shape[1] - 1, x.shape[2])
    if cu_seqlens is None:
        return _convolve(x, weight, bias, state, reverse, activation)
    parts = [
        _convolve(x[:, start:stop], weight, bias, state[row : row + 1], reverse, activation)
        for row, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False))
    ]
    outputs, states = zip(*parts, strict=True)
    return torch.cat(outputs, dim=1), torch.cat(states)
