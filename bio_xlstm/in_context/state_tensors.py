"""States of in-context learners as tensors by name, and back: one form per learner."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from torch import Tensor

from bio_xlstm.in_context.learner import LearnerState
from bio_xlstm.in_context.linear import LinearState
from bio_xlstm.in_context.model import SetState
from bio_xlstm.in_context.process import ProcessState
from bio_xlstm.in_context.ridge import RidgeState
from bio_xlstm.kernels.mlstm.state import MlstmState

FORMS: dict[str, Any] = {"set": SetState, "linear": LinearState}
# fields that are records themselves, and those that hold one record per block
_RECORDS: dict[str, Any] = {"ridge": RidgeState, "process": ProcessState}
_BLOCKS: dict[str, tuple[str, Any]] = {"memories": ("memory", MlstmState)}


def form_of(state: LearnerState) -> str:
    """Name the form of a state."""
    return next(name for name, form in FORMS.items() if isinstance(state, form))


def tensors_of(state: Any) -> dict[str, Tensor]:
    """Name every tensor of a state."""
    named: dict[str, Tensor] = {}
    for field, value in state._asdict().items():
        if isinstance(value, Tensor):
            named[field] = value
        elif field in _RECORDS:
            named |= _parts(field, value)
        elif field in _BLOCKS:
            for block, one in enumerate(value):
                named |= _parts(f"{_BLOCKS[field][0]}.{block}", one)
    return named


def state_of(form: str, task: str, tensors: Mapping[str, Tensor]) -> LearnerState:
    """Make a state of what `tensors_of` named; KeyError names a tensor, or a form, that there is not."""
    found: dict[str, Any] = {"task": task}
    for field in FORMS[form]._fields[1:]:
        if field in _RECORDS:
            found[field] = _record(_RECORDS[field], field, tensors)
        elif field in _BLOCKS:
            name, kind = _BLOCKS[field]
            numbers = (block for block in count() if f"{name}.{block}.{kind._fields[0]}" not in tensors)
            found[field] = tuple(_record(kind, f"{name}.{block}", tensors) for block in range(next(numbers)))
        else:
            found[field] = tensors[field]
    state: LearnerState = FORMS[form](**found)
    return state


def _parts(name: str, record: Any) -> dict[str, Tensor]:
    return {f"{name}.{part}": tensor for part, tensor in record._asdict().items()}


def _record(kind: Any, name: str, tensors: Mapping[str, Tensor]) -> Any:
    return kind(*(tensors[f"{name}.{part}"] for part in kind._fields))
