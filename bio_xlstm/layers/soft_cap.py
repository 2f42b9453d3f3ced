"""A bound that numbers approach smoothly."""

import torch
from torch import Tensor


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """Return cap * tanh(x / cap), or x where the cap is 0."""
    return cap * torch.tanh(x / cap) if cap else x
