"""Radial features: similarities to some training examples, in which a linear model is a curved one."""

from typing import Self

import torch
from torch import Tensor, nn

# what is added to the diagonal of the landmarks' similarities, for their root to exist
_JITTER = 1e-6


class RadialLift(nn.Module):
    """Map points (N, F) to (N, M): products of them are exp(-gamma d^2) (Nystroem's approximation, Gaussian kernel).

    With every training example a landmark, ridge regression on the map is exact kernel ridge regression.
    """

    landmarks: Tensor
    gamma: Tensor
    root: Tensor

    def __init__(self, landmarks: Tensor, gamma: Tensor, root: Tensor) -> None:
        super().__init__()
        self.register_buffer("landmarks", landmarks)  # (M, F)
        self.register_buffer("gamma", gamma)  # ()
        self.register_buffer(
            "root", root
        )  # (M, M) inverse of the triangular root of the landmarks' similarities

    @classmethod
    def of(cls, landmarks: Tensor, gamma: float) -> Self:
        """Make the map of landmarks (M, F)."""
        points = landmarks.double()
        similar = torch.exp(-gamma * square_distances(points, points))
        similar.diagonal().add_(_JITTER)
        triangle = torch.linalg.cholesky(similar)
        unit = torch.eye(len(points), dtype=torch.float64)
        root = torch.linalg.solve_triangular(triangle, unit, upper=False).T
        return cls(landmarks.float(), torch.tensor(gamma), root.contiguous().float())

    def forward(self, points: Tensor) -> Tensor:
        """Take (N, F) and give (N, M)."""
        return torch.exp(-self.gamma * square_distances(points, self.landmarks)) @ self.root


def square_distances(one: Tensor, other: Tensor) -> Tensor:
    """Return the squared distances (N, M) of points (N, F) and (M, F)."""
    squares = (one * one).sum(-1)[:, None] + (other * other).sum(-1) - 2 * one @ other.T
    return squares.clamp_min(0)
