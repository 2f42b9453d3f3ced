"""The recurrent state of the mLSTM."""

from typing import NamedTuple

import torch
from torch import Tensor


class MlstmState(NamedTuple):
    """Hold the memory of N sequences; a value, never modified in place.

    The true memory is ``c * exp(m)`` and the true normaliser ``n * exp(m)``: m only keeps the numbers in range.
    With the sigmoid input gate m is returned as zeros.
    """

    c: Tensor  # (N, H, K, V) memory
    n: Tensor  # (N, H, K) normaliser, carried even when the output does not use it
    m: Tensor  # (N, H) stabiliser, the logarithm of the scale


def zero_state(sequences: int, heads: int, key: int, value: int, like: Tensor) -> MlstmState:
    """Return the state before the first token, in the dtype and on the device of ``like``.

    The stabiliser of an empty memory is -inf: the maximum over no tokens, as in the parallel form.
    """
    return MlstmState(
        like.new_zeros(sequences, heads, key, value),
        like.new_zeros(sequences, heads, key),
        like.new_full((sequences, heads), float("-inf")),
    )


def state_dtype(activation: torch.dtype) -> torch.dtype:
    """Return the dtype of gates, state and accumulations: float32, or float64 for float64 activations."""
    return torch.float64 if activation == torch.float64 else torch.float32


def check_state(state: MlstmState | None, sequences: int, heads: int, key: int, value: int) -> None:
    """Refuse a state of other sequences, heads or widths; None fits all.

    Raises:
        ValueError: naming the part that does not fit.
    """
    if state is None:
        return
    if not isinstance(state, MlstmState):
        raise ValueError(f"state must be an MlstmState, got {type(state).__name__}")
    shapes = (sequences, heads, key, value), (sequences, heads, key), (sequences, heads)
    for name, part, shape in zip(state._fields, state, shapes, strict=True):
        if tuple(part.shape) != shape:
            raise ValueError(f"state.{name} must have shape {shape}, got {tuple(part.shape)}")
        if not part.is_floating_point():
            raise ValueError(f"state.{name} must be a floating-point tensor, got {part.dtype}")
