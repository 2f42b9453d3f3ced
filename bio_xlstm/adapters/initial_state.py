"""A learned memory that every sequence begins with: the model reads as if after a context that nobody wrote."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bio_xlstm.errors import ConfigError
from bio_xlstm.layers.state import layer_state
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.state import ModelState


class InitialState(nn.Module):
    """Hold one state of a causal model as weights to train; at first it is that of nothing read.

    ConfigError where the model does not read left to right, and so has no state.
    """

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        if not model.causal:
            raise ConfigError(f"{model.name} {model.config.sight}: it has no initial state to tune")
        self.blocks = nn.ModuleList(
            nn.ParameterDict(
                {name: nn.Parameter(torch.zeros_like(part[0])) for name, part in tensors.items()}
            )
            for tensors in _like(model)
        )

    def forward(self, sequences: int) -> ModelState:
        """Return the state for so many sequences; gradients flow to the weights."""

        def repeated(part: Tensor) -> Tensor:
            return part[None].expand(sequences, *part.shape).contiguous()

        blocks = tuple(
            layer_state({name: repeated(part) for name, part in block.items()})
            for block in self.blocks
            if isinstance(block, nn.ParameterDict)
        )
        position = torch.zeros(sequences, dtype=torch.int64, device=blocks[0].memory[0].device)
        # without a hash: while it is trained, and when the model is in another precision, there is none to compare
        return ModelState(blocks, position, "")

    @contextmanager
    def before(self, model: SequenceModel) -> Iterator[None]:
        """Let a model begin every sequence with this state, whatever calls it, while the context is open."""

        def begin(_: nn.Module, places: tuple[Any, ...], names: dict[str, Any]) -> Any:
            given = places[2] if len(places) > 2 else names.get("state")
            if given is not None:
                return None
            borders = places[1] if len(places) > 1 else names.get("cu_seqlens")
            tokens = places[0] if places else names["tokens"]
            count = len(tokens) if borders is None else len(borders) - 1
            return places[:2], {**names, "state": self(count)}

        hook = model.register_forward_pre_hook(begin, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def keep(self, model: SequenceModel) -> ModelState:
        """Return the state of one sequence as a value, for a file that other commands read too."""
        with torch.no_grad():
            state = self(1)
        return ModelState(state.blocks, state.position, model.weight_hash())

    @classmethod
    def of(cls, model: SequenceModel, state: ModelState) -> "InitialState":
        """Take up a state that was kept; ModelError where it is another model's."""
        found = cls(model)
        # the model itself says what is wrong with a state
        model._block_states(state, 1)
        with torch.no_grad():
            for block, kept in zip(found.blocks, state.blocks, strict=True):
                assert isinstance(block, nn.ParameterDict)
                for name, part in kept.tensors().items():
                    block[name].copy_(part[0])
        found.requires_grad_(False)
        return found


@torch.no_grad()
def _like(model: SequenceModel) -> list[dict[str, Tensor]]:
    """Return tensors of the shapes of a state of one sequence, by block and name."""
    state = model(torch.zeros(1, 1, dtype=torch.int64, device=model.device)).state
    assert state is not None
    return [block.tensors() for block in state.blocks]
