"""A Gaussian process on the likeness of molecules, solved anew for every support; nothing of it is learned.

The kernel is a power of Tanimoto's (Ralaivola et al. 2005, doi:10.1016/j.neunet.2005.07.009), and a little of a
Gaussian one of their properties; a constant stands for what all molecules share, as the mean of few labels is not that
of all. Likeness by several fingerprints, to a power, is not proven to be a covariance; of molecules it was, as far as
rounding shows, and `gaussian` does with any. The equations are those of `gaussian`. Every number below was chosen on
training assays.

Classes are regressed on as -1 and 1. Of more than 1,024 examples, 1,024 carry what all of them say, so that what
remains of a support has a bound.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bio_xlstm.in_context.gaussian import NOISES, Wanted, evidence, solve, solve_on
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.likeness import distance, similarity

SLOTS = 1024
# examples of which the noise is found
_JUDGED = 256
# what properties count beside, and the mean squared difference in them at which that has fallen to 1/e
SHARE, _REACH = 0.15, 3.0
CONSTANT = 0.5
# logarithm of the noise to base 10
EXPECTED = -0.5


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
    def solve(
        self, prints: Tensor, labels: Labels, slots: Tensor | None = None
    ) -> tuple[ProcessState, Labels]:
        """Read supports (B, N, P); their first examples become slots unless other prints (1, n, P) are given.

        Examples beyond `SLOTS` should come in an order that is as good as random. Returns the labels as well, values
        that are only bounded put where the fit that keeps to them is.
        """
        wanted = Wanted.of(labels)
        judged = prints[:, :_JUDGED]
        likely = evidence(_kernel(judged, judged), wanted.first(_JUDGED), EXPECTED)
        noise = NOISES[likely.argmax(1)]
        chosen = prints[:, :SLOTS] if slots is None else slots
        if slots is None and prints.shape[1] <= SLOTS:
            solved = solve(_kernel(prints, prints), wanted, noise)
        else:
            own = _kernel(chosen, chosen)
            solved = solve_on(own, lambda some: _kernel(chosen, prints[:, some]), wanted, noise)
        there = torch.ones_like(solved.said, dtype=torch.bool)
        chosen = chosen.expand(len(there), -1, -1)
        values = (solved.right + wanted.middle[:, None]).to(labels.values.dtype)
        expected = labels._replace(values=torch.where(labels.relations == 0, labels.values, values))
        return ProcessState(chosen, solved.said.float(), there, noise.float()), expected

    @torch.no_grad()
    def forward(self, prints: Tensor, state: ProcessState) -> Similar:
        """Answer queries (B, M, P)."""
        found = similarity(prints, state.prints)  # (B or 1, M, N)
        kernel = covariance(found, distance(prints, state.prints))
        if len(kernel) == 1:
            value = (kernel[0] @ state.weights.T).T
        else:
            value = torch.einsum("bmn,bn->bm", kernel, state.weights)
        return Similar(value, _nearest(found, state.there))


def _nearest(found: Tensor, there: Tensor) -> Tensor:
    """Return the highest similarity (B, M) to those slots that are examples (B, N), of all (B or 1, M, N); or 0."""
    best, which = found.max(-1)
    nearest = best.expand(len(there), -1).clone()
    for place, own in enumerate(there):
        if own.all():
            continue
        row = place % len(found)
        # only queries whose nearest slot is no example have to look again
        missed = (~own[which[row]]).nonzero()[:, 0]
        nearest[place, missed] = torch.where(own, found[row, missed], 0.0).amax(-1)
    return nearest


def _kernel(prints: Tensor, others: Tensor) -> Tensor:
    """Return the covariance of prints (B, N, P) and others (B, M, P): (B, N, M) float64."""
    return covariance(similarity(prints, others).double(), distance(prints, others).double())


def covariance(similar: Tensor, apart: Tensor, *, share: float = SHARE, constant: float = CONSTANT) -> Tensor:
    """Return the covariance of molecules by their similarity and distance (..., N, M)."""
    # to the power 1.5, as a little less similarity counts for much less; `pow` is slow
    powered = similar * similar.sqrt()
    return (apart / -_REACH).exp_().mul_(share).add_(constant).add_(powered, alpha=1 - share)
