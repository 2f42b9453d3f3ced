"""A Gaussian process on the similarity of molecules, solved anew for every support; nothing of it is learned.

The kernel is a power of Tanimoto's (Ralaivola et al. 2005, doi:10.1016/j.neunet.2005.07.009); noise is the one with the
highest marginal likelihood, the signal's variance being the best for it (Rasmussen and Williams 2006, equation 5.8),
times how often such noise is met: few labels would else be taken for nothing but noise. Power and expectation were
chosen on training assays. Classes are regressed on as -1 and 1. Of more than 1,024 examples, 1,024 carry what all of
them say (subset of regressors: Quinonero-Candela and Rasmussen 2005), so that what remains of a support has a bound.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.tanimoto import similarity

SLOTS = 1024
# examples of which the noise is found
_JUDGED = 256
# examples compared at once
_BLOCK = 8192
_NOISES = torch.logspace(-3, 2, 51, dtype=torch.float64)
# logarithm of the noise to base 10: what is expected, and how far from it
_EXPECTED, _SPREAD = -0.2, 0.5
# similarity to this power: a little less of it counts for much less
_POWER = 1.5
# what a value counts that is only bounded, beside 1
_BOUNDED = 0.5
_JITTER = 1e-6


class ProcessState(NamedTuple):
    """Hold what B supports say of N slots."""

    prints: Tensor  # (B or 1, N, P) uint8, N at most SLOTS
    weights: Tensor  # (B, N) float32
    there: Tensor  # (B, N) bool, which slots are examples of this support
    noise: Tensor  # (B,) float32, variance in units of the signal's


class Similar(NamedTuple):
    """Hold what is said of M queries of B supports."""

    value: Tensor  # (B, M) around 0, in units of the labels
    nearest: Tensor  # (B, M) similarity to the nearest example


class Process(nn.Module):
    """Solve supports, and answer queries from what remains; without weights and without gradients."""

    @torch.no_grad()
    def solve(self, prints: Tensor, labels: Labels, slots: Tensor | None = None) -> ProcessState:
        """Read supports (B, N, P); their first examples become slots unless other prints (1, n, P) are given.

        Examples beyond `SLOTS` should come in an order that is as good as random.
        """
        counts = torch.where(labels.relations == 0, 1.0, _BOUNDED).double()  # (B, N)
        middle = (counts * labels.values).sum(1) / counts.sum(1)
        right = labels.values.double() - middle[:, None]
        noise = _find_noise(prints[:, :_JUDGED], right[:, :_JUDGED], counts[:, :_JUDGED])
        if slots is None and prints.shape[1] <= SLOTS:
            weights = _solve(_kernel(prints, prints), right, counts, noise)
            return ProcessState(prints, weights, torch.ones_like(weights, dtype=torch.bool), noise.float())
        chosen = prints[:, :SLOTS] if slots is None else slots
        weights = _solve_on(chosen, prints, right, counts, noise)
        there = torch.ones_like(weights, dtype=torch.bool)
        return ProcessState(chosen.expand(len(weights), -1, -1), weights, there, noise.float())

    @torch.no_grad()
    def forward(self, prints: Tensor, state: ProcessState) -> Similar:
        """Answer queries (B, M, P)."""
        found = similarity(prints, state.prints)  # (B or 1, M, N)
        kernel = found.pow(_POWER).expand(len(state.weights), -1, -1)
        value = torch.einsum("bmn,bn->bm", kernel, state.weights)
        nearest = torch.where(state.there[:, None], found, 0.0).amax(-1)
        return Similar(value, nearest)


def _kernel(prints: Tensor, others: Tensor) -> Tensor:
    """Return the covariance of prints (B, N, P) and others (B, M, P): (B, N, M) float64, 1 for equal ones."""
    return similarity(prints, others).double().pow(_POWER)


def _find_noise(prints: Tensor, right: Tensor, counts: Tensor) -> Tensor:
    """Return the variance of the noise (B,) that makes the labels of supports (B, N, P) most likely."""
    root = counts.sqrt()
    kernel = root[:, :, None] * _kernel(prints, prints) * root[:, None]
    spectrum, basis = torch.linalg.eigh(kernel)
    turned = torch.einsum("bij,bi->bj", basis, root * right)
    total = spectrum.clamp_min(0)[:, None] + _NOISES[:, None]  # (B, noises, N)
    variance = (turned.square()[:, None] / total).mean(-1).clamp_min(1e-12)  # (B, noises)
    evidence = -0.5 * (right.shape[1] * variance.log() + total.log().sum(-1))
    expected = 0.5 * ((_NOISES.log10() - _EXPECTED) / _SPREAD).square()
    return _NOISES[(evidence - expected).argmax(1)]


def _solve(kernel: Tensor, right: Tensor, counts: Tensor, noise: Tensor) -> Tensor:
    """Return weights (B, N) of all examples; one that counts half has twice the noise."""
    system = kernel + torch.diag_embed(noise[:, None] / counts)
    root = torch.linalg.cholesky(system)
    return torch.cholesky_solve(right[..., None], root)[..., 0].float()


def _solve_on(slots: Tensor, prints: Tensor, right: Tensor, counts: Tensor, noise: Tensor) -> Tensor:
    """Return weights (B, n) of slots that say what all examples (B, N, P) say, as well as they can."""
    own = _kernel(slots, slots)
    system = noise[:, None, None] * (own + _JITTER * torch.eye(own.shape[-1], dtype=own.dtype))
    wanted = torch.zeros(len(right), own.shape[-1], dtype=own.dtype)
    for begin in range(0, prints.shape[1], _BLOCK):
        some = slice(begin, begin + _BLOCK)
        between = _kernel(slots, prints[:, some])  # (B, n, block)
        weighed = between * counts[:, None, some]
        system = system + weighed @ between.transpose(1, 2)
        wanted = wanted + torch.einsum("bns,bs->bn", weighed, right[:, some])
    root = torch.linalg.cholesky(system)
    return torch.cholesky_solve(wanted[..., None], root)[..., 0].float()
