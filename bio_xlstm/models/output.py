"""What a forward pass gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from bio_xlstm.state import ModelState


@dataclass(frozen=True)
class ModelOutput:
    """Hold the results of one forward pass; the logits are computed when they are first asked for."""

    hidden: Tensor
    """Hidden states after the final norm, (B, T, D)."""
    state: ModelState | None
    """Memory after the last token; None for models that read both ways, and where it was not asked for."""
    layers: dict[int, Tensor]
    """Hidden states (B, T, D) of the layers that were asked for: 0 embedding, i after block i, last = `hidden`."""
    head: Callable[[Tensor], Tensor] = field(repr=False)
    """Map from hidden states to logits."""

    @cached_property
    def logits(self) -> Tensor:
        """Return unnormalised log-probabilities of the next (or hidden) token, (B, T, V)."""
        return self.head(self.hidden)
