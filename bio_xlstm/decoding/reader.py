"""What a decoder asks of the part that remembers sequences and reads tokens."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from bio_xlstm.layers.state import LayerState
from bio_xlstm.models.placing import Placed


class SlotReader(Protocol):
    """Hold sequences in slots; slots are named by their numbers (n,)."""

    def step(self, tokens: Tensor, slots: Tensor, placed: Placed | None) -> Tensor:
        """Read tokens (n,) into slots and return logits (n, V)."""

    def load(self, slots: Tensor, blocks: Sequence[LayerState]) -> None:
        """Take up memories, one per block."""

    def state(self, slots: Tensor) -> tuple[LayerState, ...]:
        """Return the memories, one per block."""

    def clear(self, slots: Tensor) -> None:
        """Forget."""

    def find_misfit(self, count: int, blocks: Sequence[LayerState]) -> str:
        """Say what keeps memories of `count` sequences from fitting; empty where nothing does."""
