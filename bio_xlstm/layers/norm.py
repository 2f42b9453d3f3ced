"""Norms: over the channels of a token, and over each head's."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.config import ModelConfig


class HeadNorm(nn.Module):
    """Normalise every head by its own mean and variance, then scale each channel."""

    def __init__(self, heads: int, dim: int, eps: float = 1e-5, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.eps = heads, eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, T, H, V), give (B, T, H V)."""
        normed = F.layer_norm(x, x.shape[-1:], eps=self.eps)  # (B, T, H, V)
        scaled = normed.flatten(-2) * self.weight  # (B, T, H V)
        return scaled if self.bias is None else scaled + self.bias


class RootMeanSquareNorm(nn.Module):
    """Divide every token by the root mean square of its channels, then scale each channel (Zhang, Sennrich 2019)."""

    def __init__(self, dim: int, eps: float = 1e-6, bias: bool = False) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Take and give (..., D); computed in float32 at least."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        scaled = F.rms_norm(wide, wide.shape[-1:], eps=self.eps) * self.weight
        return (scaled if self.bias is None else scaled + self.bias).to(x.dtype)


def norm_of(config: ModelConfig) -> nn.Module:
    """Make the norm over the channels of a token that a stack uses."""
    if config.block == "post_up":
        return RootMeanSquareNorm(config.dim, config.norm_eps, config.bias)
    return nn.LayerNorm(config.dim, eps=config.norm_eps, bias=False)
