"""Counts of what stands in sequences, hashed into a few signed numbers: sums survive, chance meetings cancel.

Count sketches (Charikar, Chen and Farach-Colton 2002) as features (Weinberger et al. 2009, arXiv 0902.2206): the
product of two sketches is that of the counts on average. The hash is splitmix64 (doi:10.1145/2714064.2660195).
"""

from collections.abc import Callable, Sequence

import numpy as np

from bio_xlstm.in_context.letters import COMPLEMENT

WORDS = 1024
# residues or bases in a word
WORD = {"protein": 3, "dna": 6}
# sequences looked at together
_BLOCK = 512
_LARGEST = np.iinfo(np.int16).max
Numbered = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]
"""sequences (N) -> (L,) which of them, (L,) numbers of what is found there"""


def sketch_words(texts: Sequence[str], kind: str) -> np.ndarray:
    """Sketch the words of sequences (N): (N, WORDS) int16; a word of DNA and its reverse complement are one."""

    def words(some: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return _words(some, WORD[kind], both_strands=kind == "dna")

    return _in_blocks(texts, WORDS, words)


def _in_blocks(texts: Sequence[str], width: int, numbered: Numbered) -> np.ndarray:
    """Sketch what `numbered` finds in sequences, some at a time."""
    blocks = [np.zeros((0, width), np.int16)]
    for begin in range(0, len(texts), _BLOCK):
        some = texts[begin : begin + _BLOCK]
        owners, hashes = numbered(some)
        hashes = _scatter(hashes)
        places = owners * width + (hashes % np.uint64(width)).astype(np.int64)
        signs = 1.0 - 2.0 * (hashes >> np.uint64(63)).astype(np.float64)
        counts = np.bincount(places, weights=signs, minlength=len(some) * width)
        blocks.append(counts.reshape(len(some), width).clip(-_LARGEST, _LARGEST).astype(np.int16))
    return np.concatenate(blocks)


def _letters(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the letters of all sequences (L,) as numbers, whose each is (L,), and how many each has (N,)."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in texts], np.int64)
    return codes, np.repeat(np.arange(len(texts)), lengths), lengths


def _words(texts: Sequence[str], size: int, *, both_strands: bool) -> tuple[np.ndarray, np.ndarray]:
    """Number every word of so many letters: (W,) owners and (W,) uint64."""
    codes, owners, _ = _letters(texts)
    count = max(len(codes) - size + 1, 0)
    numbers = _joined([codes[place : place + count] for place in range(size)])
    if both_strands:
        other = _complement(codes)
        numbers = np.minimum(numbers, _joined([other[place : place + count] for place in range(size)][::-1]))
    inside = owners[:count] == owners[size - 1 : size - 1 + count]
    return owners[:count][inside], numbers[inside]


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Make one number of the letters (W,) of words, first letters first."""
    found = np.zeros_like(columns[0])
    for column in columns:
        found = (found << np.uint64(8)) | (column & np.uint64(255))
    return found


def _complement(codes: np.ndarray) -> np.ndarray:
    """Return the letters opposite to those of DNA."""
    found = codes.copy()
    for one, other in COMPLEMENT.items():
        found[codes == ord(one)] = ord(other)
    return found


def _scatter(numbers: np.ndarray) -> np.ndarray:
    """Hash numbers (L,) uint64."""
    found = numbers + np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
