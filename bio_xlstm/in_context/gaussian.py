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

from bio_xlstm.in_context.labels import Labels

NOISES = torch.logspace(-3, 2, 51, dtype=torch.float64)
# logarithm of the noise to base 10: what is expected, and how far from it
EXPECTED, SPREAD = -0.2, 0.5
# times that bounded values are put where the fit is
_SETTLED = 8
# examples compared at once
BLOCK = 8192
_JITTER = 1e-6


class Wanted(NamedTuple):
    """Hold what B supports of N labels ask of a process."""

    right: Tensor  # (B, N) float64, labels around their middle
    relations: Tensor  # (B, N) -1 where the true value is below, 1 where it is above, else 0
    middle: Tensor  # (B,) float64

    @classmethod
    def of(cls, labels: Labels) -> "Wanted":
        """Take the middle off labels."""
        middle = labels.values.double().mean(1)
        return cls(labels.values.double() - middle[:, None], labels.relations, middle)

    def of_support(self, place: int) -> "Wanted":
        """Take one of the supports (B = 1)."""
        return Wanted(*(part[place : place + 1] for part in self))


class Solved(NamedTuple):
    """Hold what the examples of B supports say."""

    said: Tensor  # (B, n) float64, weights of the slots
    right: (
        Tensor  # (B, N) float64, labels around their middle, bounded ones where the fit that keeps to them is
    )


def evidence(kernel: Tensor, right: Tensor) -> Tensor:
    """Return the logarithm of how likely labels are under kernels (B, N, N) and every noise: (B, noises)."""
    spectrum, basis = torch.linalg.eigh(kernel)
    turned = torch.einsum("bij,bi->bj", basis, right)
    total = spectrum.clamp_min(0)[:, None] + NOISES[:, None]  # (B, noises, N)
    variance = (turned.square()[:, None] / total).mean(-1).clamp_min(1e-12)  # (B, noises)
    likelihood = -0.5 * (right.shape[1] * variance.log() + total.log().sum(-1))
    return likelihood - 0.5 * ((NOISES.log10() - EXPECTED) / SPREAD).square()


def solve(kernel: Tensor, wanted: Wanted, noise: Tensor) -> Solved:
    """Solve for the labels of all examples (B, N), whose noise is (B,)."""
    root = torch.linalg.cholesky(kernel + torch.diag_embed(noise[:, None].expand_as(wanted.right)))

    def answer(right: Tensor) -> tuple[Tensor, Tensor]:
        said = torch.cholesky_solve(right[..., None], root)[..., 0]
        return said, torch.einsum("bnm,bm->bn", kernel, said)

    return _settle(answer, wanted)


def solve_on(own: Tensor, between: Callable[[slice], Tensor], wanted: Wanted, noise: Tensor) -> Solved:
    """Let slots say what all examples (B, N) say, as well as they can.

    `own` is the kernel of the slots (B, n, n), `between` gives that of slots and some examples (B, n, block).
    """
    blocks = [slice(begin, begin + BLOCK) for begin in range(0, wanted.right.shape[1], BLOCK)]
    system = noise[:, None, None] * (own + _JITTER * torch.eye(own.shape[-1], dtype=own.dtype))
    for some in blocks:
        found = between(some)
        system = system + found @ found.transpose(1, 2)
    root = torch.linalg.cholesky(system)

    def answer(right: Tensor) -> tuple[Tensor, Tensor]:
        asked = torch.stack(
            [torch.einsum("bns,bs->bn", between(some), right[:, some]) for some in blocks]
        ).sum(0)
        said = torch.cholesky_solve(asked[..., None], root)[..., 0]
        fitted = [torch.einsum("bns,bn->bs", between(some), said) for some in blocks]
        return said, torch.cat(fitted, 1)

    return _settle(answer, wanted)


def _settle(answer: Callable[[Tensor], tuple[Tensor, Tensor]], wanted: Wanted) -> Solved:
    """Answer for labels; where some are only bounded, put those that the fit keeps to where it is, and answer again."""
    right = wanted.right
    said, fitted = answer(right)
    sign = wanted.relations.double()
    for _ in range(_SETTLED if wanted.relations.any() else 0):
        # nothing is lost by a value beyond its bound, the square of what is missing by another
        right = wanted.right + sign * (sign * (fitted - wanted.right)).clamp_min(0)
        said, fitted = answer(right)
    return Solved(said, right)
