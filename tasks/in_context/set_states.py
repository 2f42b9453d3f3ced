"""Several states of one learner as one, and parts of it."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from bio_xlstm.in_context.learner import LearnerState

State = TypeVar("State", bound=LearnerState)


def joined(states: Sequence[State]) -> State:
    """Lay states of B1, B2, ... supports of one task one behind the other."""
    found: State = _combined(states, lambda tensors: torch.cat(list(tensors)))
    return found


def selected(state: State, which: Sequence[int] | slice) -> State:
    """Pick some of the B supports of a state."""
    rows = which if isinstance(which, slice) else torch.as_tensor(which)
    found: State = _combined([state], lambda tensors: tensors[0][rows])
    return found


def _combined(parts: Sequence[Any], combine: Callable[[Sequence[Tensor]], Tensor]) -> Any:
    """Make one value of several of one form: tensors combined, tuples place by place, words as they are."""
    first = parts[0]
    if isinstance(first, Tensor):
        return combine(parts)
    if not isinstance(first, tuple):
        return first
    places = [_combined(several, combine) for several in zip(*parts, strict=True)]
    return type(first)(*places) if hasattr(first, "_fields") else tuple(places)
