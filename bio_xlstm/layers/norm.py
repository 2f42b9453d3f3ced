"""Layer norm over each head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HeadNorm(nn.Module):
    """Normalise every head by its own mean and variance, then scale each channel."""

    def __init__(self, heads: int, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.heads, self.eps = heads, eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, T, H, V), give (B, T, H V)."""
        normed = F.layer_norm(x, x.shape[-1:], eps=self.eps)  # (B, T, H, V)
        return normed.flatten(-2) * self.weight  # (B, T, H V)
