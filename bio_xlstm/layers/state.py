"""What one layer remembers, and how tokens are to be read."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.kernels.mixer import Rotation
from bio_xlstm.kernels.mlstm import MlstmState
from bio_xlstm.kernels.slstm import SlstmState


class LayerState(NamedTuple):
    """What a layer remembers of N sequences."""

    memory: MlstmState | SlstmState
    """Memory of the cell, with its normaliser and stabiliser."""
    conv: Tensor | None
    """Last inputs of the convolution, (N, W - 1, channels), oldest first; None where the layer has none."""

    def select(self, rows: slice | Tensor) -> "LayerState":
        """Pick (or repeat) sequences."""
        memory = type(self.memory)(*(part[rows] for part in self.memory))
        return LayerState(memory, None if self.conv is None else self.conv[rows])

    def tensors(self) -> dict[str, Tensor]:
        """Name every tensor."""
        named = self.memory._asdict()
        return named if self.conv is None else {**named, "conv": self.conv}


def layer_state(tensors: dict[str, Tensor]) -> LayerState:
    """Put together what `LayerState.tensors` took apart; KeyError where a tensor is missing."""
    # only the sLSTM's gates read its last output
    kind = SlstmState if "h" in tensors else MlstmState
    return LayerState(kind(*(tensors[name] for name in kind._fields)), tensors.get("conv"))


def join(states: Sequence[LayerState]) -> LayerState:
    """Put the states of all sequences together."""
    parts = [state.tensors() for state in states]
    return layer_state({name: torch.cat([part[name] for part in parts]) for name in parts[0]})


class Reading(NamedTuple):
    """Say how a layer is to read tokens (B, T, D)."""

    cu_seqlens: Tensor | None = None
    """Borders (N + 1,) int32 of sequences packed in one row."""
    state: LayerState | None = None
    """Memory of every sequence before its first token."""
    with_state: bool = False
    """Whether the memory after the last token is wanted."""
    reverse: bool = False
    """Whether every sequence is read right to left."""
    second_strand: bool = False
    """Whether the tokens are those of the other strand, which is read from its own beginning."""
    rotation: Rotation | None = None
    """Positions of the tokens, where queries and keys turn with them."""


PLAIN = Reading()
