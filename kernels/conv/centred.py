"""The depthwise convolution that looks ahead as far as behind, put together from causal ones."""

import torch
from torch import Tensor
from torch.nn.functional import silu

from bio_xlstm.kernels.conv.dispatch import causal_conv


def centred_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    cu_seqlens: Tensor | None,
    reverse: bool,
    backend: str,
) -> Tensor:
    """Convolve x (B, T, C) with (W - 1) // 2 tokens before each token and the rest after it, then apply SiLU.

    The current token is tap (W - 1) // 2 of weight (C, W); `reverse` mirrors the sequences.
    """
    width = weight.shape[1]
    behind = (width - 1) // 2
    ahead = width - 1 - behind
    past, _ = causal_conv(
        x, weight[:, : behind + 1].contiguous(), bias, cu_seqlens=cu_seqlens, reverse=reverse, backend=backend
    )
    if not ahead:
        return silu(past)
    # read from the other end, the tap of the current token is zero
    taps = torch.cat((weight.flip(1)[:, :ahead], torch.zeros_like(weight[:, :1])), dim=1)
    future, _ = causal_conv(x, taps, None, cu_seqlens=cu_seqlens, reverse=not reverse, backend=backend)
    return silu(past + future)
