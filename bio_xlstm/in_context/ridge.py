"""Ridge regression inside the network: the best linear map of a support, from sums that do not grow with it.

The closed-form head of Bertinetto et al. (2019, arXiv 1805.08136), in the form whose size is that of the points; what
it accumulates is the memory of a linear recurrent layer, what it reads out the solution of a system.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.labels import Labels


class RidgeState(NamedTuple):
    """Hold the solutions of B supports."""

    weights: Tensor  # (B, D)
    middle: Tensor  # (B,) mean of the labels
    root: Tensor  # (B, D, D) lower triangular root of the system's matrix


class Ridge(nn.Module):
    """Solve for labels on unit vectors; penalty, scale and what a bounded value counts are learned."""

    def __init__(self, config: InContextConfig) -> None:
        super().__init__()
        self.project = nn.Linear(config.dim, config.dim)
        # logarithm of the penalty: at 32 examples, and per doubling of their number
        self.penalty = nn.Parameter(torch.zeros(2))
        self.scale = nn.Parameter(torch.tensor([3.0, 1.0]).log())  # logarithms: log-odds, numbers
        self.bounded = nn.Parameter(torch.zeros(()))

    def solve(self, points: Tensor, labels: Labels) -> RidgeState:
        """Solve for the labels of supports (B, N, D)."""
        z = self._unit(points)
        counts = torch.where(labels.relations == 0, 1.0, torch.sigmoid(self.bounded))  # (B, N)
        total = counts.sum(1)
        middle = (counts * labels.values).sum(1) / total
        weighed = counts[..., None] * z
        matrix = weighed.transpose(1, 2) @ z
        strength = torch.exp(self.penalty[0] + self.penalty[1] * torch.log2(total / 32))  # (B,)
        matrix = matrix + strength[:, None, None] * torch.eye(z.shape[-1], device=z.device, dtype=z.dtype)
        # laid out as in a file, so that both answer alike to the last bit
        root = torch.linalg.cholesky(matrix).contiguous()
        right = (weighed * (labels.values - middle[:, None])[..., None]).sum(1)  # (B, D)
        weights = torch.cholesky_solve(right[..., None], root)[..., 0]
        return RidgeState(weights, middle, root)

    def forward(self, points: Tensor, state: RidgeState, task: str) -> Tensor:
        """Return what the solution says of queries (B, M, D): log-odds beside the prior's, or standardised numbers."""
        found = torch.einsum("bmd,bd->bm", self._unit(points), state.weights)
        if task == "binary":
            return found * self.scale[0].exp()
        return found * self.scale[1].exp() + state.middle[:, None]

    def leverage(self, points: Tensor, state: RidgeState) -> Tensor:
        """Return (B, M) how far queries (B, M, D) lie from what the support covers: little at its heart, more away."""
        z = self._unit(points).transpose(1, 2)  # (B, D, M)
        solved = torch.linalg.solve_triangular(state.root, z, upper=False)
        return solved.square().sum(1)

    def _unit(self, points: Tensor) -> Tensor:
        return F.normalize(self.project(points), dim=-1)
