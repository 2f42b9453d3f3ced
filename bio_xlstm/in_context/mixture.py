"""Which views of sequences a support is explained by, how noisy its labels are, and what follows for every number.

Every view is a linear kernel: centred on the support, so scaled that its examples have a mean squared norm of 1. A
process on their weighed sum is Bayesian linear regression on all numbers side by side (Rasmussen and Williams 2006,
chapter 2), so what remains of a support is one weight for each, however many examples there were.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.in_context.gaussian import NOISES, evidence, solve, solve_on
from bio_xlstm.in_context.process import SLOTS

# examples by which mixtures are judged
_JUDGED = 128
_GRID = (0.0, 0.5, 1.0)
# of the size of a view's numbers, below which their differences are rounding
_SMALLEST = 1e-5


class View(NamedTuple):
    """Hold one view of N examples, centred and scaled."""

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


class Mixture(NamedTuple):
    """Hold how much each of V views counts, and the noise in units of the signal."""

    shares: Tensor  # (V,) float64, sum 1
    noise: Tensor  # () float64


class Solution(NamedTuple):
    """Hold what answers queries: numbers times weights, less the bias."""

    weights: Tensor  # (F,) float64, of all views one behind the other
    bias: Tensor  # () float64


def mixtures(used: Sequence[bool]) -> Tensor:
    """List the shares (G, V) that are tried, where only some views may be used."""
    grid = [row for row in product(*(_GRID if one else (0.0,) for one in used)) if any(row)]
    shares = torch.tensor(grid, dtype=torch.float64)
    # twice as much of everything is the same
    return torch.unique(shares / shares.sum(1, keepdim=True), dim=0)


def choose(views: Sequence[View], right: Tensor, counts: Tensor, used: Sequence[bool]) -> Mixture:
    """Return the mixture under which labels (N,) are most likely, times how often its noise is met."""
    tried, judged = mixtures(used), slice(0, _JUDGED)
    kernels = torch.stack([_products(view.values[judged], view.values[judged]) for view in views])
    every = torch.einsum("gv,vnm->gnm", tried, kernels)
    likely = evidence(every, right[judged].expand(len(tried), -1), counts[judged].expand(len(tried), -1))
    which, noise = divmod(int(likely.argmax()), len(NOISES))
    return Mixture(tried[which], NOISES[noise])


def solve_views(views: Sequence[View], right: Tensor, counts: Tensor, mixture: Mixture) -> Solution:
    """Solve for labels (N,); of more than 1,024 examples, the first 1,024 say what all do."""
    first, noise = slice(0, SLOTS), mixture.noise[None]

    def between(some: slice) -> Tensor:
        pairs = zip(mixture.shares, views, strict=True)
        found = [share * _products(view.values[first], view.values[some]) for share, view in pairs if share]
        return torch.stack(found).sum(0)[None]

    if len(right) <= SLOTS:
        said = solve(between(first), right[None], counts[None], noise)[0]
    else:
        said = solve_on(between(first), between, right[None], counts[None], noise)[0]
    weights = [
        share * (view.values[first].T.double() @ said) / view.scale
        for share, view in zip(mixture.shares, views, strict=True)
    ]
    bias = sum(
        (weight @ view.centre for weight, view in zip(weights, views, strict=True)), torch.zeros(()).double()
    )
    return Solution(torch.cat(weights), bias)


def covariance_root(view: View, counts: Tensor, share: Tensor, noise: Tensor) -> Tensor:
    """Return the root (F, F), lower triangular, of what says how far a query lies from a view of N examples.

    The squared norm of what it solves is the variance of the answer on this view alone, in units of the noise.
    """
    values = view.values.double()
    penalty = noise / share if share else noise
    matrix = values.T @ (counts[:, None] * values) + penalty * torch.eye(values.shape[1], dtype=torch.float64)
    return torch.linalg.cholesky(matrix).float()


def _products(one: Tensor, other: Tensor) -> Tensor:
    """Return the linear kernel (N, M) float64 of values (N, F) and (M, F)."""
    return (one @ other.T).double()
