"""A Gaussian process on what sequences have in common: embedding, words, and what was changed where.

Every kernel is linear in numbers that a sequence alone decides, so what remains of a support is one weight for each of
them and, for variants, one effect per letter and place, however many examples there were. Kernels are centred on the
slots: what is common to all examples is not explained by any of them, so that the sequence without changes is no
average of its variants.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.in_context.changes import Changes
from bio_xlstm.in_context.gaussian import Wanted, solve, solve_on
from bio_xlstm.in_context.letters import LETTERS
from bio_xlstm.in_context.mixture import JUDGED, Mixture, weigh
from bio_xlstm.in_context.process import SLOTS
from bio_xlstm.in_context.view import View

_JUDGED, _SLOTS = slice(0, JUDGED), slice(0, SLOTS)
# times the usual size of a kernel that one example counts at most: that of four times as many changes
_UNUSUAL = 16.0


class Solution(NamedTuple):
    """Hold what answers queries: numbers times weights, less the bias, and the effects of the letters."""

    weights: Tensor  # (F,) float64, of all views one behind the other
    bias: Tensor  # () float64
    effects: Tensor | None  # (L, CODES) float64, None where changes do not count
    mixture: Mixture


def common_length(lengths: Tensor) -> int | None:
    """Return the length that most of N sequences have; None where no more than half have one, or it is too long."""
    values, counts = lengths.unique(return_counts=True)
    place = int(counts.argmax())
    if counts[place] < 2 or 2 * counts[place] <= len(lengths) or values[place] > LETTERS:
        return None
    return int(values[place])


def solve_sequences(
    views: Sequence[View], changes: Changes | None, wanted: Wanted, mixture: Mixture | None = None
) -> Solution:
    """Solve one support (B = 1) for N labels; of more than 1,024 examples, the first 1,024 say what all do.

    A mixture that is known need not be found.
    """
    sources: list[View | Changes] = [*views, changes] if changes else [*views]
    mixture = mixture or _weigh(sources, wanted)
    shares = mixture.shares.split([len(source.expected) for source in sources])

    def products(some: slice) -> Tensor:
        pairs = zip(sources, shares, strict=True)
        return torch.stack([source.kernel(_SLOTS, some, share) for source, share in pairs]).sum(0)

    plain = products(_SLOTS)
    means = plain.mean(1)  # (n,)

    def between(some: slice) -> Tensor:
        found = plain if some == _SLOTS else products(some)
        return (found - means[:, None] - found.mean(0) + means.mean())[None]

    own, noise = between(_SLOTS), mixture.noise[None]
    if wanted.right.shape[1] <= SLOTS:
        said = solve(own, wanted, noise).said[0]
    else:
        said = solve_on(own, between, wanted, noise).said[0]
    bias = said @ (means - means.mean())
    said = said - said.mean()
    weights = [view.weights(_SLOTS, said, share) for view, share in zip(views, shares, strict=False)]
    bias = bias + torch.stack([one @ view.centre for one, view in zip(weights, views, strict=True)]).sum()
    effects = changes.effects(_SLOTS, said, shares[-1]) if changes else None
    return Solution(torch.cat(weights), bias, effects, mixture)


def _weigh(sources: Sequence[View | Changes], wanted: Wanted) -> Mixture:
    """Judge all kernels by the first examples."""
    judged = wanted.first(JUDGED)
    known = judged.telling[0]
    kernels = torch.cat([source.kernels(_JUDGED) for source in sources])[:, known][:, :, known]
    sizes = usual_sizes(kernels)
    kernels = (
        kernels - kernels.mean(1, keepdim=True) - kernels.mean(2, keepdim=True) + kernels.mean((1, 2), True)
    )
    expected = torch.cat([source.expected for source in sources])
    found = weigh(kernels / sizes[:, None, None], judged.right[0, known], expected)
    return found._replace(shares=found.shares / sizes)


def usual_sizes(kernels: Tensor) -> Tensor:
    """Return how large kernels (C, N, N) are: (C,) means of what an example has in common with itself, 1 for 0.

    An example with many more changes than the others counts as one with four times as many as usual.
    """
    own = kernels.diagonal(dim1=1, dim2=2)
    usual = torch.where(own > 0, own, torch.nan).nanmedian(1, keepdim=True).values
    return torch.minimum(own, _UNUSUAL * usual).mean(1).nan_to_num(1.0)
