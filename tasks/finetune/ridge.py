"""Ridge regression by normal equations: many penalties and folds for the price of one product of matrices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Solved(NamedTuple):
    """Hold a linear map of points (N, M) to targets (N, T), and what makes its uncertainty."""

    weight: Tensor  # (T, M)
    bias: Tensor  # (T,)
    spread: Tensor  # (M + 1, M + 1) whose rows' products are the inverse of the penalised normal matrix


def cross_predict(points: Tensor, targets: Tensor, folds: np.ndarray, penalties: Sequence[float]) -> Tensor:
    """Predict targets (N, T) of every fold from the others, for every penalty: (P, N, T) float64."""
    inputs = _with_one(points)
    normal, moments = _products(inputs, targets)
    found = torch.zeros(len(penalties), *targets.shape, dtype=torch.float64)
    for fold in np.unique(folds).tolist():
        rows = torch.from_numpy(np.flatnonzero(folds == fold))
        own, own_moments = _products(inputs[rows], targets[rows])
        for place, penalty in enumerate(penalties):
            weight = torch.cholesky_solve(moments - own_moments, _triangle(normal - own, penalty))
            found[place, rows] = inputs[rows].double() @ weight
    return found


def dual_predict(kernel: Tensor, targets: Tensor, folds: np.ndarray, penalty: float) -> Tensor:
    """Predict targets (N, T) of every fold from the others by the products (N, N) of their points, in float64."""
    # a constant of the size of a usual point
    kernel = kernel.double() + kernel.diagonal().double().mean()
    found = torch.zeros(targets.shape, dtype=torch.float64)
    for fold in np.unique(folds).tolist():
        inner, outer = (torch.from_numpy(np.flatnonzero(part)) for part in (folds != fold, folds == fold))
        penalised = kernel[inner][:, inner]
        penalised.diagonal().add_(penalty + 1e-7)
        factor = torch.linalg.cholesky(penalised)
        found[outer] = kernel[outer][:, inner] @ torch.cholesky_solve(targets[inner].double(), factor)
    return found


def explained(predicted: Tensor, targets: Tensor) -> Tensor:
    """Return the share of the variance of targets (N, T) that predictions (P, N, T) explain, (P,)."""
    error = (predicted - targets).square().sum((1, 2))
    return 1 - error / (targets - targets.mean(0)).square().sum().clamp_min(1e-12)


def solve(points: Tensor, targets: Tensor, penalty: float) -> Solved:
    """Fit all points (N, M) to targets (N, T)."""
    inputs = _with_one(points)
    normal, moments = _products(inputs, targets)
    triangle = _triangle(normal, penalty)
    weight = torch.cholesky_solve(moments, triangle)  # (M + 1, T)
    unit = torch.eye(len(triangle), dtype=torch.float64)
    inverse = torch.linalg.solve_triangular(triangle, unit, upper=False).T
    # the constant comes last
    return Solved(weight[:-1].T, weight[-1], inverse.contiguous())


def _with_one(points: Tensor) -> Tensor:
    """Add a constant to points (N, M)."""
    return torch.cat((points, torch.ones(len(points), 1, dtype=points.dtype)), dim=1)


def _products(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return X^T X and X^T Y in float64."""
    return (inputs.T @ inputs).double(), inputs.double().T @ targets.double()


def _triangle(normal: Tensor, penalty: float) -> Tensor:
    """Return the Cholesky factor of a normal matrix with a penalty on all but the constant."""
    penalised = normal.clone()
    penalised.diagonal()[:-1].add_(penalty)
    # rounding of the products in float32 may have taken a little from the diagonal
    penalised.diagonal().add_(1e-7 * float(normal.diagonal().mean()))
    factor, failed = torch.linalg.cholesky_ex(penalised)
    if not int(failed):
        return factor
    penalised.diagonal().add_(1e-4 * float(normal.diagonal().mean()))
    return torch.linalg.cholesky(penalised)
