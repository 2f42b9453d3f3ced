"""A linear map whose matrix is block-diagonal."""

import torch
from torch import Tensor, nn

# tiny blocks are multiplied as dense tiles about this wide: far fewer, far better filled matrix products
_TILE = 16


class BlockDiagonal(nn.Module):
    """Map each group of `block` neighbouring channels by its own (block, block) matrix."""

    def __init__(self, dim: int, block: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim // block, block, block))  # (groups, out, in)
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None
        self.per_tile = _groups_per_tile(dim // block, block)

    def forward(self, x: Tensor) -> Tensor:
        """Take and give (B, T, dim)."""
        tiles = self._tiles()  # (tiles, width, width)
        rows = x.reshape(-1, *tiles.shape[:2])  # (B T, tiles, width)
        mapped = torch.bmm(rows.transpose(0, 1), tiles.transpose(1, 2))  # (tiles, B T, width)
        y = mapped.transpose(0, 1).reshape(x.shape)  # (B, T, dim)
        return y if self.bias is None else y + self.bias

    def _tiles(self) -> Tensor:
        """Spread the blocks over the diagonals of dense tiles."""
        groups, block, _ = self.weight.shape
        eye = torch.eye(self.per_tile, dtype=self.weight.dtype, device=self.weight.device)
        blocks = self.weight.view(-1, self.per_tile, block, 1, block)
        spread = blocks * eye.view(1, self.per_tile, 1, self.per_tile, 1)
        return spread.reshape(groups // self.per_tile, self.per_tile * block, self.per_tile * block)


def _groups_per_tile(groups: int, block: int) -> int:
    """Choose how many blocks share a tile: the most that divide evenly and stay within the tile width."""
    most = max(1, _TILE // block)
    return next(count for count in range(min(most, groups), 0, -1) if groups % count == 0)
