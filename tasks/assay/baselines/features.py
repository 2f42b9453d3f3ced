"""Plain features of sequences: length, letters by position, short words."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from bio_xlstm.tasks.evaluate.kmers import words
from bio_xlstm.tasks.evaluate.letters import LETTERS

# lengths of words that are counted together
WORDS = {"protein": (1, 2, 3), "dna": (1, 2, 3, 4, 5, 6)}


class Features(Protocol):
    """Turn sequences into rows of numbers, dense or sparse."""

    def fit(self, sequences: Sequence[str]) -> Any:
        """Choose what to look at, and describe N training sequences (N, F)."""

    def describe(self, sequences: Sequence[str]) -> Any:
        """Describe other sequences (M, F) in the same way."""


class Lengths:
    """Describe a sequence by its length alone, and its logarithm."""

    def fit(self, sequences: Sequence[str]) -> np.ndarray:
        """Remember the scale of the lengths."""
        plain = self._plain(sequences)
        self._mean, spread = plain.mean(0), plain.std(0)
        self._spread = np.where(spread > 0, spread, 1)
        return self.describe(sequences)

    def describe(self, sequences: Sequence[str]) -> np.ndarray:
        """Return (N, 2)."""
        found: np.ndarray = (self._plain(sequences) - self._mean) / self._spread
        return found

    def _plain(self, sequences: Sequence[str]) -> np.ndarray:
        lengths = np.array([len(text) for text in sequences], float)
        return np.stack([lengths, np.log1p(lengths)], 1)


class OneHot:
    """Describe sequences of one length by their letters at the places where the training sequences differ.

    Letters beyond the length, and those that training did not have at a place, are left out.
    """

    def fit(self, sequences: Sequence[str]) -> Any:
        """Choose places and letters."""
        table = self._codes(sequences, len(sequences[0]))
        self._length = table.shape[1]
        varied = np.flatnonzero((table != table[0]).any(0))
        self._columns = {
            (place, letter): number
            for number, (place, letter) in enumerate(
                (place, letter) for place in varied.tolist() for letter in np.unique(table[:, place]).tolist()
            )
        }
        self._places = varied
        return self.describe(sequences)

    def describe(self, sequences: Sequence[str]) -> Any:
        """Return (N, F) sparse."""
        from scipy.sparse import csr_matrix

        table = self._codes(sequences, self._length)
        rows, columns = [], []
        for place in self._places.tolist():
            for letter in np.unique(table[:, place]).tolist():
                number = self._columns.get((place, letter))
                if number is not None:
                    found = np.flatnonzero(table[:, place] == letter)
                    rows.append(found)
                    columns.append(np.full(len(found), number))
        empty = np.zeros(0, np.int64)
        where = (np.concatenate([empty, *rows]), np.concatenate([empty, *columns]))
        return csr_matrix((np.ones(len(where[0])), where), (len(table), max(len(self._columns), 1)))

    @staticmethod
    def _codes(sequences: Sequence[str], length: int) -> np.ndarray:
        """Return the letters (N, length) uint8, 0 beyond the end."""
        padded = [text[:length].encode("latin-1", "replace").ljust(length, b"\0") for text in sequences]
        return np.frombuffer(b"".join(padded), np.uint8).reshape(len(padded), length)


class WordCounts:
    """Describe a sequence by the words of up to a few letters that it holds: roots of their shares.

    `chosen` (W,) int64 are the numbers of the words that count, which `fit` chooses.
    """

    def __init__(self, kind: str, chosen: np.ndarray | None = None) -> None:
        self.kind = kind
        self.chosen = np.zeros(0, np.int64) if chosen is None else chosen

    def fit(self, sequences: Sequence[str]) -> Any:
        """Choose the words that two sequences hold, all where there are none."""
        found = self._count(sequences)
        common = np.flatnonzero(found.getnnz(axis=0) > 1)
        self.chosen = np.asarray(common if len(common) else np.arange(found.shape[1]), np.int64)
        return found[:, self.chosen]

    def describe(self, sequences: Sequence[str]) -> Any:
        """Return (N, F) sparse, every length of words with a norm of 1 before the choice."""
        return self._count(sequences)[:, self.chosen]

    def _count(self, sequences: Sequence[str]) -> Any:
        from scipy.sparse import csr_matrix, hstack

        coded = LETTERS[self.kind].encode(sequences)
        blocks = []
        for size in WORDS[self.kind]:
            numbers, owners = words(coded, size)
            shape = (len(sequences), coded.base**size)
            counts = csr_matrix((np.ones(len(numbers)), (owners, numbers)), shape)
            totals = np.maximum(np.asarray(counts.sum(1)).ravel(), 1)
            counts.data = np.sqrt(counts.data / np.repeat(totals, np.diff(counts.indptr)))
            blocks.append(counts)
        return csr_matrix(hstack(blocks))
