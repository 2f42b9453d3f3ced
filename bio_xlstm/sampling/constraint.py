"""What keeps a draw from ids that may not follow."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from bio_xlstm.tokenizers.tokenizer import Tokenizer


class Constraint(Protocol):
    """Say which ids may follow in every slot of a decoder; at least one always may."""

    def begin(self, slot: int, number: int, ids: np.ndarray) -> None:
        """Take up the sample with a number in a slot, of which ids (P,) are given."""

    def allowed(self, slots: np.ndarray) -> np.ndarray:
        """Mark the ids (n, V), or (1, V) for all alike, that may follow in slots (n,)."""

    def add(self, slots: np.ndarray, ids: np.ndarray) -> None:
        """Take note of the ids (n,) that were drawn in slots (n,)."""

    def places(self, slots: np.ndarray) -> Sequence[int] | None:
        """Return where the tokens to be read next in slots (n,) stand, None where the tokens tell."""


class Letters:
    """Allow the symbols of sequences, and the stop."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._allowed = letters_and_stop(tokenizer)[None]

    def begin(self, slot: int, number: int, ids: np.ndarray) -> None:
        """Remember nothing."""

    def allowed(self, slots: np.ndarray) -> np.ndarray:
        """Mark the ids (1, V)."""
        return self._allowed

    def add(self, slots: np.ndarray, ids: np.ndarray) -> None:
        """Remember nothing."""

    def places(self, slots: np.ndarray) -> None:
        """Leave it to the tokens."""


def letters_and_stop(tokenizer: Tokenizer) -> np.ndarray:
    """Mark the ids (V,) that a model may have to predict, the stop among them."""
    wanted = np.array(tokenizer.targets, bool)
    if tokenizer.stop is not None:
        wanted[tokenizer.stop] = True
    return wanted
