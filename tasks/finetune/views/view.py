"""The interface of all views."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self

import numpy as np

from bio_xlstm.models.model import SequenceModel


class View(Protocol):
    """Describe sequences of token ids by F numbers each; what it knows of the training part goes into arrays."""

    name: ClassVar[str]
    words: ClassVar[str]
    """what it is, for the lines of a run"""
    by_position: ClassVar[bool]
    """whether it takes sequences of the length of the training part alone"""

    @classmethod
    def make(cls, model: SequenceModel, sequences: Sequence[np.ndarray], seed: int = 0) -> Self | None:
        """Look at training sequences, without their values; None where the view does not suit them."""

    def takes(self, ids: np.ndarray) -> bool:
        """Tell whether a sequence can be described: a view by position wants the length of the training part."""

    def describe(self, model: SequenceModel, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return (N, F) float32."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `of` needs."""

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Put together what `arrays` took apart; KeyError where one is missing."""


def common_length(sequences: Sequence[np.ndarray]) -> int | None:
    """Return the length of all sequences, None where they differ."""
    lengths = {len(ids) for ids in sequences}
    return lengths.pop() if len(lengths) == 1 else None
