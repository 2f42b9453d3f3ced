"""Points: what molecules are to an in-context learner, learned numbers and prints side by side."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Points:
    """Hold points of any arrangement (...); indexing takes some of them, as of a tensor.

    As rows of bytes (`packed`, `of`) they can be kept, sent and cut as any array.
    """

    learned: Tensor  # (..., D) float32
    prints: Tensor  # (..., P) uint8

    def __getitem__(self, which: Any) -> Self:
        """Take some of them; `which` leaves the last dimension alone."""
        return type(self)(self.learned[which], self.prints[which])

    def arranged(self, *shape: int) -> Self:
        """Arrange N points (N, ...) as (*shape, ...)."""
        return type(self)(self.learned.unflatten(0, shape), self.prints.unflatten(0, shape))

    def packed(self) -> Tensor:
        """Return rows of bytes (..., W), W = 4 D + P."""
        numbers = self.learned.detach().float().contiguous().cpu().view(torch.uint8)
        return torch.cat([numbers, self.prints.cpu()], -1)

    @classmethod
    def of(cls, rows: Tensor, dim: int) -> Self:
        """Read rows of bytes (..., W) that `packed` made of D = `dim` numbers each."""
        # fresh memory: numbers must lie where numbers may
        return cls(rows[..., : 4 * dim].clone().view(torch.float32), rows[..., 4 * dim :].contiguous())
