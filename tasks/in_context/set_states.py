"""Several states of one learner as one, and parts of it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bio_xlstm.in_context.model import SetState
from bio_xlstm.in_context.ridge import RidgeState
from bio_xlstm.kernels.mlstm.state import MlstmState


def joined(states: Sequence[SetState]) -> SetState:
    """Lay states of B1, B2, ... supports of one task one behind the other."""
    return _combined(states, lambda tensors: torch.cat(list(tensors)))


def selected(state: SetState, which: Sequence[int] | slice) -> SetState:
    """Pick some of the B supports of a state."""
    rows = which if isinstance(which, slice) else torch.as_tensor(which)
    return _combined([state], lambda tensors: tensors[0][rows])


def _combined(states: Sequence[SetState], combine: Callable[[Sequence[Tensor]], Tensor]) -> SetState:
    """Make one state of several, tensor by tensor."""
    memories = tuple(
        MlstmState(*(combine(parts) for parts in zip(*block, strict=True)))
        for block in zip(*(state.memories for state in states), strict=True)
    )
    ridge = RidgeState(*(combine(parts) for parts in zip(*(state.ridge for state in states), strict=True)))
    base, shift, scale = (
        combine([getattr(state, name) for state in states]) for name in ("base", "shift", "scale")
    )
    return SetState(states[0].task, memories, ridge, base, shift, scale)
