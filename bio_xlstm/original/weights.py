"""The tensors of a checkpoint by name, each read only when it is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bio_xlstm.errors import ModelError

Shape = tuple[int, ...]

# what wrapping a model in another one puts before the names of its parameters
_WRAPPERS = ("model.", "backbone.", "module.", "_orig_mod.")


@dataclass(frozen=True)
class Weights:
    """Hold the shapes of a checkpoint's tensors, and read them one at a time."""

    files: tuple[Path, ...]
    shapes: Mapping[str, Shape]
    dtypes: Mapping[str, torch.dtype]
    read: Callable[[str], Tensor]
    stored: Mapping[str, str]
    """How the file calls a tensor, for messages."""

    @property
    def label(self) -> str:
        """Return how messages call the checkpoint: its file, or its folder where there are several."""
        return str(self.files[0] if len(self.files) == 1 else self.files[0].parent)

    def __contains__(self, name: object) -> bool:
        return name in self.shapes

    def shape(self, name: str, axes: int) -> Shape:
        """Return the shape of a tensor of so many axes; ModelError where it is missing or has another number."""
        if name not in self.shapes:
            raise ModelError(f"{self.label} lacks {name}")
        shape = self.shapes[name]
        if len(shape) != axes or 0 in shape:
            raise ModelError(f"{self.label}: {self.stored[name]} has shape {shape}, not {axes} axes")
        return shape

    def renamed(self, rename: Callable[[str], str | None]) -> "Weights":
        """Return the same tensors under other names, without those that get none."""
        source: dict[str, str] = {}
        for old in self.shapes:
            new = rename(old)
            if new is None:
                continue
            if new in source:
                pair = f"{self.stored[source[new]]} and {self.stored[old]}"
                raise ModelError(f"{self.label} holds {pair}, which are the same parameter")
            source[new] = old
        shapes = {new: self.shapes[old] for new, old in source.items()}
        dtypes = {new: self.dtypes[old] for new, old in source.items()}
        stored = {new: self.stored[old] for new, old in source.items()}
        return Weights(self.files, shapes, dtypes, lambda name: self.read(source[name]), stored)


def without_wrappers(name: str) -> str:
    """Return a parameter's name in the model itself, whatever the model was wrapped in.

    >>> without_wrappers("model.backbone.lm_head.weight")
    'lm_head.weight'
    """
    while wrapper := next((one for one in _WRAPPERS if name.startswith(one)), None):
        name = name.removeprefix(wrapper)
    return name
