"""The recurrent state of the sLSTM."""

from typing import NamedTuple

import torch
from torch import Tensor


class SlstmState(NamedTuple):
    """Hold the memory of N sequences; a value, never modified in place.

    The true cell is ``c * exp(m)`` and the true normaliser ``n * exp(m)``: m only keeps the numbers in range.
    """

    h: Tensor  # (N, H, K) last output, which the gates of the next token read
    c: Tensor  # (N, H, K) cell
    n: Tensor  # (N, H, K) normaliser
    m: Tensor  # (N, H, K) stabiliser, the logarithm of the scale


def zero_state(sequences: int, heads: int, width: int, like: Tensor) -> SlstmState:
    """Return the state before the first token, in the dtype and on the device of ``like``.

    The stabiliser of an empty memory is -inf: the maximum over no tokens, so that the first token sets it to its own
    input gate.
    """
    shape = (sequences, heads, width)
    h, c, n = (like.new_zeros(shape) for _ in range(3))
    return SlstmState(h, c, n, like.new_full(shape, float("-inf")))


def state_dtype(activation: torch.dtype) -> torch.dtype:
    """Return the dtype of gates, state and accumulations: float32, or float64 for float64 activations."""
    return torch.float64 if activation == torch.float64 else torch.float32
