"""The initial weights that all layers share (Beck et al. 2024)."""

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig


def init_small(weight: Tensor, config: ModelConfig) -> None:
    """Draw a map so small that its outputs begin near zero (Nguyen, Salazar 2019)."""
    nn.init.normal_(weight, std=(2 / (5 * config.dim)) ** 0.5)


def init_inner(linear: nn.Linear, config: ModelConfig) -> None:
    """Draw a map into a layer, without shift."""
    init_small(linear.weight, config)
    _clear_bias(linear)


def init_outer(linear: nn.Linear, config: ModelConfig) -> None:
    """Draw a map back to the residual stream, smaller in deeper stacks (Wang, Komatsuzaki 2021)."""
    nn.init.normal_(linear.weight, std=2 / (config.blocks * config.dim**0.5))
    _clear_bias(linear)


def init_taps(weight: Tensor) -> None:
    """Draw the taps of a depthwise convolution (channels, W)."""
    bound = weight.shape[-1] ** -0.5
    nn.init.uniform_(weight, -bound, bound)


def init_gates(input_gate: nn.Linear, forget_gate: nn.Linear, opening: float | None = None) -> None:
    """Make mLSTM gates that do not look at the tokens yet: forget gates of the heads open from 3 to 6.

    Input gates begin at `opening`, or near zero where there is none.
    """
    nn.init.zeros_(input_gate.weight)
    nn.init.zeros_(forget_gate.weight)
    if opening is None:
        nn.init.normal_(input_gate.bias, std=0.1)
    else:
        nn.init.constant_(input_gate.bias, opening)
    forget_gate.bias.copy_(torch.linspace(3.0, 6.0, len(forget_gate.bias)))


def _clear_bias(linear: nn.Linear) -> None:
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
