"""Regression by a Gaussian process on any kernel, solved anew for every support; nothing of it is learned.

Noise is the one with the highest marginal likelihood, the signal's variance being the best for it (Rasmussen and
Williams 2006, equation 5.8), times how often such noise is met: few labels would else be taken for nothing but noise.
Many examples speak through few (subset of regressors: Quinonero-Candela and Rasmussen 2005). A value that is only
bounded counts where the fit lies on the wrong side of it (one-sided least squares). All is in float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.in_context.labels import Labels, telling

NOISES = torch.logspace(-3, 2, 51, dtype=torch.float64)
# how far the logarithm of the noise, to base 10, is usually from what is expected
SPREAD = 0.5
# times that bounds are chosen that count
_SETTLED = 12
# noise, in units of the signal, of what does not count
_NOTHING = 1e9
# examples compared at once
BLOCK = 8192
# what rounding may take of kernels, some of which are made in single precision, and of systems in double
_SINGLE, _DOUBLE = 1e-5, 1e-9


class Wanted(NamedTuple):
    """Hold what B supports of N labels ask of a process."""

    right: Tensor  # (B, N) float64, labels around their middle
    relations: Tensor  # (B, N) -1 where the true value is below, 1 where it is above, else 0
    telling: Tensor  # (B, N) bool, which say anything
    middle: Tensor  # (B,) float64, of those

    @classmethod
    def of(cls, labels: Labels) -> "Wanted":
        """Take the middle off labels."""
        values = labels.values.double()
        known = telling(values, labels.relations)
        middle = torch.where(known, values, 0.0).sum(1) / known.sum(1)
        return cls(values - middle[:, None], labels.relations, known, middle)

    def first(self, count: int) -> "Wanted":
        """Take the first examples of every support."""
        right, relations = self.right[:, :count], self.relations[:, :count]
        return Wanted(right, relations, telling(right, relations), self.middle)

    def only(self, some: Tensor) -> "Wanted":
        """Take those examples, (N,) bool or their numbers, of every support that are meant, around their own middle."""
        right, relations, known = (part[:, some] for part in (self.right, self.relations, self.telling))
        apart = torch.where(known, right, 0.0).sum(1) / known.sum(1).clamp_min(1)
        return Wanted(right - apart[:, None], relations, known, self.middle + apart)

    def of_support(self, place: int) -> "Wanted":
        """Take one of the supports (B = 1)."""
        return Wanted(*(part[place : place + 1] for part in self))


class Solved(NamedTuple):
    """Hold what the examples of B supports say."""

    said: Tensor  # (B, n) float64, weights of the slots
    right: (
        Tensor  # (B, N) float64, labels around their middle, bounded ones where the fit that keeps to them is
    )


def evidence(kernel: Tensor, wanted: Wanted, expected: float) -> Tensor:
    """Return how likely labels (B, N) are under kernels (B, N, N) and every noise: logarithms (B, noises).

    `expected` is the logarithm of the noise, to base 10, that is likely before any label is seen.
    """
    known = wanted.telling.double()
    counts = known.sum(1)[:, None]  # (B, 1)
    spectrum, basis = torch.linalg.eigh(known[:, :, None] * kernel * known[:, None])
    turned = torch.einsum("bij,bi->bj", basis, known * wanted.right)
    total = spectrum.clamp_min(0)[:, None] + NOISES[:, None]  # (B, noises, N)
    variance = ((turned.square()[:, None] / total).sum(-1) / counts).clamp_min(1e-12)  # (B, noises)
    # labels that are not counted have nothing but noise
    spread = total.log().sum(-1) - (known.shape[1] - counts) * NOISES.log()
    likelihood = -0.5 * (counts * variance.log() + spread)
    return likelihood - 0.5 * ((NOISES.log10() - expected) / SPREAD).square()


def solve(kernel: Tensor, wanted: Wanted, noise: Tensor) -> Solved:
    """Solve for the labels of all examples (B, N), whose noise is (B,)."""

    def answer(counted: Tensor) -> Tensor:
        noises = torch.where(counted, noise[:, None], _NOTHING)
        root = _root(kernel + torch.diag_embed(noises))
        return torch.cholesky_solve(torch.where(counted, wanted.right, 0.0)[..., None], root)[..., 0]

    return _settle(answer, lambda said: torch.einsum("bnm,bm->bn", kernel, said), wanted)


def solve_on(own: Tensor, between: Callable[[slice], Tensor], wanted: Wanted, noise: Tensor) -> Solved:
    """Let slots say what all examples (B, N) say, as well as they can.

    `own` is the kernel of the slots (B, n, n), `between` gives that of slots and some examples (B, n, block).
    """
    blocks = [slice(begin, begin + BLOCK) for begin in range(0, wanted.right.shape[1], BLOCK)]
    alone = noise[:, None, None] * _firm(own, _SINGLE)

    def answer(counted: Tensor) -> Tensor:
        system, asked = alone, torch.zeros_like(alone[..., 0])
        for some in blocks:
            found = between(some) * counted[:, None, some]
            system = system + found @ found.transpose(1, 2)
            asked = asked + torch.einsum("bns,bs->bn", found, wanted.right[:, some])
        return torch.cholesky_solve(asked[..., None], _root(_firm(system, _DOUBLE)))[..., 0]

    def fit(said: Tensor) -> Tensor:
        return torch.cat([torch.einsum("bns,bn->bs", between(some), said) for some in blocks], 1)

    return _settle(answer, fit, wanted)


def _root(system: Tensor) -> Tensor:
    """Factor systems (B, n, n); where a kernel is no covariance, what it lacks is counted as noise."""
    root, failed = torch.linalg.cholesky_ex(system)
    if failed.any():
        lacking = torch.linalg.eigvalsh(system).amin(1).clamp_max(0).abs()
        lacking = torch.where(failed > 0, 2 * lacking, 0.0)[:, None].expand(system.shape[:2])
        root = torch.linalg.cholesky(_firm(system + torch.diag_embed(lacking), _DOUBLE))
    found: Tensor = root
    return found


def _firm(matrix: Tensor, share: float) -> Tensor:
    """Add to a diagonal (B, n, n) the share of it that rounding may have taken: slots may be alike, or of few kinds."""
    size = matrix.diagonal(dim1=1, dim2=2).mean(1)
    return matrix + share * size[:, None, None] * torch.eye(matrix.shape[-1], dtype=matrix.dtype)


def _settle(answer: Callable[[Tensor], Tensor], fit: Callable[[Tensor], Tensor], wanted: Wanted) -> Solved:
    """Answer for the labels that count: all that are measured, and bounds that the fit would not keep to without.

    Nothing is lost by a value beyond its bound, the square of what is missing by another: Newton's method, whose
    steps are solutions for those that count.
    """
    counted, measured, sign = wanted.telling, wanted.relations == 0, wanted.relations.double()
    said = answer(counted)
    if not sign.any():
        return Solved(said, wanted.right)
    fitted = fit(said)
    for _ in range(_SETTLED):
        missed = sign * (wanted.right - fitted) > 0
        if torch.equal(counted, measured | missed):
            break
        counted = measured | missed
        said = answer(counted)
        fitted = fit(said)
    return Solved(said, torch.where(counted, wanted.right, fitted))
