"""A linear map whose matrix is block-diagonal."""

import torch
from torch import Tensor

# tiny blocks are multiplied as dense tiles about this wide: far fewer, far better filled matrix products
_TILE = 16


def block_diagonal(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Map each group of P neighbouring channels of x (B, T, I) by its own matrix of weight (I / P, P outputs, P)."""
    tiles = _spread(weight)  # (tiles, width, width)
    rows = x.reshape(-1, *tiles.shape[:2])  # (B T, tiles, width)
    mapped = torch.bmm(rows.transpose(0, 1), tiles.transpose(1, 2))  # (tiles, B T, width)
    y = mapped.transpose(0, 1).reshape(x.shape)  # (B, T, I)
    return y if bias is None else y + bias


def _spread(weight: Tensor) -> Tensor:
    """Spread the blocks over the diagonals of dense tiles."""
    groups, block, _ = weight.shape
    together = groups_per_tile(groups, block)
    eye = torch.eye(together, dtype=weight.dtype, device=weight.device)
    spread = weight.view(-1, together, block, 1, block) * eye.view(1, together, 1, together, 1)
    return spread.reshape(groups // together, together * block, together * block)


def groups_per_tile(groups: int, block: int) -> int:
    """Choose how many blocks share a tile: the most that divide evenly and stay within the tile width."""
    most = max(1, _TILE // block)
    return next(count for count in range(min(most, groups), 0, -1) if groups % count == 0)
