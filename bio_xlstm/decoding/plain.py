"""Token by token through any causal model, with the layers that read whole sequences."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from bio_xlstm.layers.state import LayerState, layer_state
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.models.placing import Placed

# an empty memory is zero, with the maximum over no tokens as its stabiliser
_EMPTY = {"m": float("-inf")}


class PlainReader:
    """Read with a copy of a model, one step of its blocks per token."""

    def __init__(self, model: SequenceModel, slots: int, backend: str) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        if backend != "auto":
            self.model.use_backend(backend)
        self.memories = [_room(block, slots) for block in self._read_one()]

    def step(self, tokens: Tensor, slots: Tensor, placed: Placed | None) -> Tensor:
        """Read tokens (n,) into slots (n,) and return logits (n, V)."""
        before = self.state(slots)
        hidden, after, _ = self.model.run_blocks(tokens[:, None], None, before, True, placed)
        self.load(slots, after)
        return self.model.logits_of(hidden[:, 0]).float()

    def load(self, slots: Tensor, blocks: Sequence[LayerState]) -> None:
        """Take up memories, one per block."""
        for held, block in zip(self.memories, blocks, strict=True):
            for name, tensor in block.tensors().items():
                held[name][slots] = tensor.to(held[name])

    def state(self, slots: Tensor) -> tuple[LayerState, ...]:
        """Return the memories, one per block."""
        return tuple(
            layer_state({name: part[slots] for name, part in held.items()}) for held in self.memories
        )

    def clear(self, slots: Tensor) -> None:
        """Forget."""
        for held in self.memories:
            for name, part in held.items():
                part[slots] = _EMPTY.get(name, 0.0)

    def find_misfit(self, count: int, blocks: Sequence[LayerState]) -> str:
        """Say what keeps memories of `count` sequences from fitting; empty where nothing does."""
        for number, (held, block) in enumerate(zip(self.memories, blocks, strict=True), start=1):
            given = block.tensors()
            if given.keys() != held.keys():
                return f"in block {number} is another kind of memory"
            for name, part in held.items():
                wanted = (count, *part.shape[1:])
                if tuple(given[name].shape) != wanted:
                    return f"in block {number} {name} must be {wanted}, not {tuple(given[name].shape)}"
        return ""

    def _read_one(self) -> tuple[LayerState, ...]:
        """Return the memories after one token, to learn their shapes."""
        token = torch.zeros((1, 1), dtype=torch.int64, device=self.model.device)
        state = self.model(token).state
        assert state is not None
        return state.blocks


def _room(block: LayerState, slots: int) -> dict[str, Tensor]:
    """Make empty memories of one block for all slots."""
    return {
        name: torch.full_like(part, _EMPTY.get(name, 0.0)).repeat(slots, *[1] * (part.dim() - 1))
        for name, part in block.tensors().items()
    }
