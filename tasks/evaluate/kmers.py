"""Letters and words of k letters, counted over many sequences at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Coded(NamedTuple):
    """Hold sequences end to end as numbers of their letters; -1 is a letter outside the alphabet."""

    codes: np.ndarray  # (T,) int8
    bounds: np.ndarray  # (N + 1,) int64
    base: int

    @property
    def lengths(self) -> np.ndarray:
        """Return the length of every sequence (N,)."""
        return np.diff(self.bounds)

    @property
    def owners(self) -> np.ndarray:
        """Return the number of the sequence that every letter belongs to (T,)."""
        return np.repeat(np.arange(len(self.bounds) - 1), self.lengths)


def encode(texts: Sequence[str], letters: str) -> Coded:
    """Number the letters of sequences; U counts as T where the alphabet has no U."""
    table = np.full(256, -1, np.int8)
    table[np.frombuffer(letters.encode(), np.uint8)] = np.arange(len(letters))
    if "U" not in letters and "T" in letters and len(letters) == 4:
        table[ord("U")] = letters.index("T")
    joined = np.frombuffer("".join(texts).encode("latin-1", "replace"), np.uint8)
    bounds = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    return Coded(table[joined], bounds.astype(np.int64), len(letters))


def words(coded: Coded, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all words of k known letters (W,), and whose they are (W,)."""
    count = len(coded.codes) - k + 1
    if count < 1:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    numbers, known = np.zeros(count, np.int64), np.ones(count, bool)
    for offset in range(k):
        part = coded.codes[offset : offset + count]
        numbers = numbers * coded.base + part
        known &= part >= 0
    owners = coded.owners
    # a word lies within one sequence
    known &= owners[:count] == owners[k - 1 :]
    return numbers[known], owners[:count][known]


def spectrum(coded: Coded, k: int) -> np.ndarray:
    """Count every word of k letters over all sequences, (base ** k,)."""
    return np.bincount(words(coded, k)[0], minlength=coded.base**k)


def composition(coded: Coded) -> np.ndarray:
    """Count every letter of every sequence, (N, base)."""
    numbers, owners = words(coded, 1)
    count = len(coded.bounds) - 1
    return np.bincount(owners * coded.base + numbers, minlength=count * coded.base).reshape(count, coded.base)


def presence(coded: Coded, k: int, bits: int) -> np.ndarray:
    """Mark which words every sequence holds, folded into `bits` places, (N, bits) uint8."""
    numbers, owners = words(coded, k)
    marks = np.zeros((len(coded.bounds) - 1, bits), np.uint8)
    # neighbours in number are neighbours in spelling: a multiplication scatters them
    marks[owners, (numbers * 2654435761 >> 7) % bits] = 1
    return marks


def entropy(counts: np.ndarray) -> np.ndarray:
    """Return the entropy of the letters of every sequence (N,) from their counts (N, base), in bits."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(1)


def longest_runs(coded: Coded) -> np.ndarray:
    """Return the length of the longest run of one letter of every sequence (N,)."""
    longest = np.zeros(len(coded.bounds) - 1, np.int64)
    if not len(coded.codes):
        return longest
    owners = coded.owners
    changes = (np.diff(coded.codes) != 0) | (np.diff(owners) != 0)
    begins = np.concatenate([[0], np.flatnonzero(changes) + 1])
    np.maximum.at(longest, owners[begins], np.diff(np.concatenate([begins, [len(coded.codes)]])))
    return longest
