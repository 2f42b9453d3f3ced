"""A linear map whose matrix is block-diagonal."""

import torch
from torch import Tensor, nn

from bio_xlstm.kernels.mixer.block_diagonal import block_diagonal


class BlockDiagonal(nn.Module):
    """Map each group of `block` neighbouring channels by its own (block, block) matrix."""

    def __init__(self, dim: int, block: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim // block, block, block))  # (groups, out, in)
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Take and give (B, T, dim)."""
        return block_diagonal(x, self.weight, self.bias)
