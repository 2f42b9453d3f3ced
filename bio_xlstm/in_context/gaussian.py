"""Regression by a Gaussian process on any kernel, solved anew for every support; nothing of it is learned.

Noise is the one with the highest marginal likelihood, the signal's variance being the best for it (Rasmussen and
Williams 2006, equation 5.8), times how often such noise is met: few labels would else be taken for nothing but noise.
Many examples speak through few (subset of regressors: Quinonero-Candela and Rasmussen 2005). All is in float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.in_context.labels import Labels

NOISES = torch.logspace(-3, 2, 51, dtype=torch.float64)
# logarithm of the noise to base 10: what is expected, and how far from it
EXPECTED, SPREAD = -0.2, 0.5
# what a value counts that is only bounded, beside 1
BOUNDED = 0.5
# examples compared at once
BLOCK = 8192
_JITTER = 1e-6


class Wanted(NamedTuple):
    """Hold what B supports of N labels ask of a process."""

    right: Tensor  # (B, N) float64, labels around their middle
    counts: Tensor  # (B, N) float64, what each counts
    middle: Tensor  # (B,) float64

    @classmethod
    def of(cls, labels: Labels) -> "Wanted":
        """Take the middle off labels; bounds count half."""
        counts = torch.where(labels.relations == 0, 1.0, BOUNDED).double()  # (B, N)
        middle = (counts * labels.values).sum(1) / counts.sum(1)
        return cls(labels.values.double() - middle[:, None], counts, middle)


def evidence(kernel: Tensor, right: Tensor, counts: Tensor) -> Tensor:
    """Return the logarithm of how likely labels are under kernels (B, N, N) and every noise: (B, noises)."""
    root = counts.sqrt()
    spectrum, basis = torch.linalg.eigh(root[:, :, None] * kernel * root[:, None])
    turned = torch.einsum("bij,bi->bj", basis, root * right)
    total = spectrum.clamp_min(0)[:, None] + NOISES[:, None]  # (B, noises, N)
    variance = (turned.square()[:, None] / total).mean(-1).clamp_min(1e-12)  # (B, noises)
    likelihood = -0.5 * (right.shape[1] * variance.log() + total.log().sum(-1))
    return likelihood - 0.5 * ((NOISES.log10() - EXPECTED) / SPREAD).square()


def solve(kernel: Tensor, right: Tensor, counts: Tensor, noise: Tensor) -> Tensor:
    """Return weights (B, N) of all examples; one that counts half has twice the noise (B,)."""
    system = kernel + torch.diag_embed(noise[:, None] / counts)
    root = torch.linalg.cholesky(system)
    return torch.cholesky_solve(right[..., None], root)[..., 0]


def solve_on(
    own: Tensor, between: Callable[[slice], Tensor], right: Tensor, counts: Tensor, noise: Tensor
) -> Tensor:
    """Return weights (B, n) of slots that say what all examples say, as well as they can.

    `own` is the kernel of the slots (B, n, n), `between` gives that of slots and some examples (B, n, block).
    """
    system = noise[:, None, None] * (own + _JITTER * torch.eye(own.shape[-1], dtype=own.dtype))
    wanted = torch.zeros(len(right), own.shape[-1], dtype=own.dtype)
    for begin in range(0, right.shape[1], BLOCK):
        some = slice(begin, begin + BLOCK)
        found = between(some)
        weighed = found * counts[:, None, some]
        system = system + weighed @ found.transpose(1, 2)
        wanted = wanted + torch.einsum("bns,bs->bn", weighed, right[:, some])
    root = torch.linalg.cholesky(system)
    return torch.cholesky_solve(wanted[..., None], root)[..., 0]
