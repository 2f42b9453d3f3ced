"""Token ids to results, whatever the memory: smaller batches, then one by one, then the CPU, then status oom."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

SMALLEST_BATCH = 256

Result = TypeVar("Result")


class Computed(NamedTuple, Generic[Result]):
    """Hold the result for one sequence (None: it fits into no memory) and the token budget that made it."""

    result: Result | None
    budget: int


@dataclass(frozen=True, kw_only=True)
class Worker(ABC, Generic[Result]):
    """Compute something for sequences with fixed options."""

    model: "SequenceModel"
    batch_tokens: int

    @abstractmethod
    def run(self, sequences: Sequence[np.ndarray], budget: int) -> list[Result]:
        """Compute the results of sequences with at most `budget` tokens at once."""

    @property
    def in_windows(self) -> bool:
        """Tell whether sequences longer than the budget are read in windows."""
        return not self.model.causal

    def __call__(self, sequences: Sequence[np.ndarray]) -> list[Computed[Result]]:
        """Compute the results of sequences; a batch that does not fit into memory is halved and tried again."""
        if not sequences:
            return []
        found = self._halving(sequences)
        if found is not None:
            return found
        return [self._alone(sequence) for sequence in sequences]

    def _halving(self, sequences: Sequence[np.ndarray]) -> list[Computed[Result]] | None:
        """Try smaller and smaller batches; None when even the smallest does not fit."""
        budget = self.batch_tokens
        while True:
            found = within_memory(lambda budget=budget: self.run(sequences, budget))  # type: ignore[misc]
            if found is not None:
                return [Computed(result, budget) for result in found]
            if budget <= SMALLEST_BATCH:
                return None
            budget = max(budget // 2, SMALLEST_BATCH)

    def _alone(self, sequence: np.ndarray) -> Computed[Result]:
        """Compute one sequence in the smallest pieces, on the CPU if need be."""
        smallest = min(SMALLEST_BATCH, self.batch_tokens)
        found = within_memory(lambda: self.run([sequence], smallest))
        if found is None and self.model.device.type != "cpu":
            device = self.model.device
            self.model.to("cpu")
            try:
                found = within_memory(lambda: self.run([sequence], smallest))
            finally:
                self.model.to(device)
        return Computed(found[0] if found else None, smallest)


def within_memory(work: Callable[[], list[Result]]) -> list[Result] | None:
    """Return what `work` returns, None when it runs out of memory."""
    try:
        return work()
    except MemoryError:
        return None
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    _release()
    return None


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether torch failed for want of memory, on a GPU or on the CPU."""
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


def _release() -> None:
    """Give the memory that torch keeps back to the GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
