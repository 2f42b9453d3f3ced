"""The memory of a causal model: a value that goes in, comes out, and can be kept in a file."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bio_xlstm.errors import ModelError
from bio_xlstm.layers.state import LayerState, layer_state
from bio_xlstm.positions import Places
from bio_xlstm.state_file import MODEL_STATE, read_state_file, write_state_file


@dataclass(frozen=True)
class ModelState:
    """Hold what a causal model remembers of N sequences; its size does not depend on what was read.

    A state belongs to the weights that made it: `model_hash` is their hash, and another model refuses it.
    """

    blocks: tuple[LayerState, ...]
    """One entry per block."""
    position: Tensor
    """Number of tokens read so far by each sequence, (N,) int64."""
    model_hash: str
    """Hash of the weights that made the state."""
    places: Places | None = None
    """Where the next token of each sequence stands, for models with positions."""

    def __len__(self) -> int:
        return len(self.position)

    def __repr__(self) -> str:
        # thousands of numbers would say less
        low, high = (int(edge) for edge in self.position.aminmax())
        read = f"{low}" if low == high else f"{low} to {high}"
        return (
            f"ModelState({len(self)} sequences, {read} tokens read, {len(self.blocks)} blocks, "
            f"{self.bytes:,} bytes, model {self.model_hash[:12] or 'unknown'})"
        )

    @property
    def bytes(self) -> int:
        """Return the size of the tensors in bytes."""
        return sum(tensor.nbytes for tensor in self._tensors().values())

    def select(self, indices: list[int] | Tensor) -> "ModelState":
        """Pick (or repeat) sequences by their index."""
        chosen = torch.as_tensor(indices, device=self.position.device)
        blocks = tuple(block.select(chosen) for block in self.blocks)
        places = None if self.places is None else Places(*(part[chosen] for part in self.places))
        return ModelState(blocks, self.position[chosen], self.model_hash, places)

    def save(self, path: str | Path) -> None:
        """Write the state to a file that `ModelState.load` reads."""
        metadata = {"model_hash": self.model_hash, "blocks": json.dumps(len(self.blocks))}
        write_state_file(path, MODEL_STATE, self._tensors(), metadata)

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> "ModelState":
        """Read a state that `save` wrote; ModelError says what is wrong with another file."""
        tensors, metadata = read_state_file(path, MODEL_STATE, device)
        try:
            blocks = tuple(
                layer_state(_named_after(f"{index}.", tensors))
                for index in range(json.loads(metadata["blocks"]))
            )
            placed = _named_after("places.", tensors)
            places = Places(*(placed[name] for name in Places._fields)) if placed else None
            return cls(blocks, tensors["position"], metadata["model_hash"], places)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is not a whole model state: {error} is missing or wrong") from None

    def _tensors(self) -> dict[str, Tensor]:
        """Name every tensor for the file."""
        named = {"position": self.position}
        for index, block in enumerate(self.blocks):
            named |= {f"{index}.{part}": tensor for part, tensor in block.tensors().items()}
        if self.places is not None:
            named |= {f"places.{part}": tensor for part, tensor in self.places._asdict().items()}
        return named


def _named_after(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Pick the tensors whose names begin with a prefix, under the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
