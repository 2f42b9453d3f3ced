"""Numbers that describe the examples of a support, centred and scaled, and the linear kernel of them."""

from typing import NamedTuple

import torch
from torch import Tensor

# of the size of a view's numbers, below which their differences are rounding
_SMALLEST = 1e-5


class View(NamedTuple):
    """Hold N examples so that their mean is 0, and their mean squared norm 1."""

    values: Tensor  # (N, F)
    centre: Tensor  # (F,) float64, what was taken off
    scale: Tensor  # () float64, what the rest was divided by

    @classmethod
    def of(cls, numbers: Tensor) -> "View":
        """Centre and scale numbers (N, F)."""
        centre = numbers.mean(0, dtype=torch.float64)
        values = numbers - centre.to(numbers.dtype)
        scale = values.double().square().sum(1).mean().sqrt()
        scale = torch.where(scale > _SMALLEST * centre.norm(), scale, torch.inf)
        return cls(values / scale.to(values.dtype), centre, scale)

    @property
    def expected(self) -> Tensor:
        """Return how much the kernel is expected to count, beside others: (1,)."""
        return torch.ones(1, dtype=torch.float64)

    def kernels(self, some: slice) -> Tensor:
        """Return the products of some examples with each other (1, n, n) float64."""
        return (self.values[some] @ self.values[some].T).double()[None]

    def kernel(self, some: slice, others: slice, shares: Tensor) -> Tensor:
        """Return the products (n, m) float64 of some examples and others, weighed by a share (1,)."""
        return shares * (self.values[some] @ self.values[others].T).double()

    def weights(self, some: slice, said: Tensor, shares: Tensor) -> Tensor:
        """Return the weights (F,) float64 of numbers as they are, as some examples say with weights (n,)."""
        return shares * (self.values[some].T.double() @ said) / self.scale

    def covariance_root(self, share: Tensor, noise: Tensor) -> Tensor:
        """Return the root (F, F), lower triangular, of what says how far a query lies from the examples.

        The squared norm of what it solves is the variance of the answer on this view alone, in units of the noise.
        """
        values = self.values.double()
        penalty = noise / share if share else noise
        matrix = values.T @ values + penalty * torch.eye(values.shape[1], dtype=torch.float64)
        return torch.linalg.cholesky(matrix).float()
