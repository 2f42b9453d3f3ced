"""What a learner makes of a support without some examples: states of the rest, and answers for those left out."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.in_context.learner import Learner, LearnerState
from bio_xlstm.tasks.in_context.set_states import joined, selected
from bio_xlstm.tasks.in_context.support import Support

# a support is left without one example at a time up to so many, without one of so many groups above
SINGLES = 64
# states of a support without one part each, whose answers differ as much as the support leaves open
PARTS = 8
# examples that are read at once
READ_AT_ONCE = 8192


class LeftOut(NamedTuple):
    """Hold what is said of every example by a support without it, or without its group; NaN where that is empty."""

    values: np.ndarray  # (N,) log-odds, or numbers
    leverages: np.ndarray  # (N,)


def deal(support: Support, groups: int) -> np.ndarray:
    """Deal examples (N,) to groups whose classes, or values, are as alike as can be; at most one group per example.

    Neighbours in the support's order, which is that of the SMILES, come to different groups.
    """
    order = np.argsort(support.values, kind="stable")
    found = np.empty(len(support), np.int64)
    found[order] = np.arange(len(support)) % max(min(groups, len(support)), 1)
    return found


def read_without(
    learner: Learner,
    points: Tensor,
    support: Support,
    groups: np.ndarray,
    slots: int | None = None,
    like: LearnerState | None = None,
) -> Iterator[tuple[np.ndarray, LearnerState]]:
    """Yield (numbers of groups (B,), states (B) of the support without each), until every group was left out.

    The process keeps the first examples of what is left, or, without their labels where they are left out, the first
    `slots` of the whole support. Of many examples a few decide little, so `like` is the state of the whole there.
    """
    like = like if len(support) > SINGLES else None
    kept = [np.flatnonzero(groups != number) for number in range(int(groups.max()) + 1)]
    given = points[None, :slots] if slots else None
    for size in sorted({len(rows) for rows in kept}):
        numbers = [number for number, rows in enumerate(kept) if len(rows) == size]
        step = max(1, READ_AT_ONCE // max(size, 1))
        for begin in range(0, len(numbers), step):
            some = numbers[begin : begin + step]
            rows = np.stack([kept[number] for number in some])
            labels = support.labels(rows)
            yield (
                np.array(some),
                learner.read_support(points[torch.from_numpy(rows)], labels, slots=given, like=like),
            )


@torch.inference_mode()
def answer_left_out(learner: Learner, points: Tensor, support: Support) -> LeftOut:
    """Answer every example (points (N, W)) from the support without it; in 64 groups where there are more than 64."""
    values, leverages = (np.full(len(support), np.nan) for _ in range(2))
    if len(support) < 2:
        return LeftOut(values, leverages)
    groups, whole = deal(support, SINGLES), _whole(learner, points, support)
    for numbers, states in read_without(learner, points, support, groups, like=whole):
        # groups without which equally many are left are equally large
        rows = np.stack([np.flatnonzero(groups == number) for number in numbers])  # (B, m)
        found = learner.answer(points[torch.from_numpy(rows)], states)
        values[rows], leverages[rows] = found.value.numpy(), found.leverage.numpy()
    return LeftOut(values, leverages)


@torch.inference_mode()
def read_parts(learner: Learner, points: Tensor, support: Support) -> LearnerState:
    """Read a support (points (N, W)): the state of the whole, and behind it those without one eighth each.

    All share the slots of the whole, where a state has any.
    """
    whole = _whole(learner, points, support)
    if len(support) < 2:
        return whole
    groups, slots = deal(support, PARTS), whole.slots
    found = list(read_without(learner, points, support, groups, slots, whole))
    order = np.argsort(np.concatenate([numbers for numbers, _ in found]), kind="stable")
    parts = selected(joined([state for _, state in found]), order.tolist())
    together = joined([whole, parts])
    left_out = torch.from_numpy(
        groups[None, :slots] == np.arange(-1, len(order))[:, None]
    )  # (1 + parts, slots)
    return together.sharing(left_out)


def _whole(learner: Learner, points: Tensor, support: Support) -> LearnerState:
    """Read a whole support (B = 1)."""
    found: LearnerState = learner.read_support(points[None], support.labels(np.arange(len(support))[None]))
    return found
