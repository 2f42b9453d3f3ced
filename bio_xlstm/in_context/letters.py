"""Sequences as rows of letters, as wide as points can hold; of longer ones it is not known what stands where."""

from collections.abc import Sequence

import numpy as np

# letters of a sequence that a point holds
LETTERS = 2048
# bases that face each other
COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}


def letters(texts: Sequence[str]) -> np.ndarray:
    """Return the letters of sequences (N, LETTERS) as bytes of ASCII, 0 behind the last; longer ones are all 0."""
    found = np.zeros((len(texts), LETTERS), np.uint8)
    for row, text in zip(found, texts, strict=True):
        if len(text) <= LETTERS:
            row[: len(text)] = np.frombuffer(text.encode("ascii", "replace"), np.uint8)
    return found
