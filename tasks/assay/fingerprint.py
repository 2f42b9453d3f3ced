"""Fingerprints of molecules and sequences: bits that similar ones share, packed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bio_xlstm.records.chemistry import parsed
from bio_xlstm.tasks.evaluate.kmers import words
from bio_xlstm.tasks.evaluate.letters import LETTERS

BITS = 2048
# residues or bases in a word
WORD = {"protein": 3, "dna": 10}
# of a longer sequence, the words of the lowest hashes alone: bits would all be set, and everything alike
MOST_WORDS = 512
# letters looked at together
BLOCK_LETTERS = 2_000_000
RADIUS = 2


def fingerprints(sequences: Sequence[str], kind: str) -> np.ndarray:
    """Return the packed bits (N, BITS / 8) of molecules (Morgan, radius 2) or of the short words of sequences.

    A word of DNA and its reverse complement are one. Bits of a molecule that RDKit cannot read are all zero.
    """
    rows = _of_molecules(sequences) if kind == "smiles" else _of_words(sequences, kind)
    blocks = [np.packbits(block, axis=1) for block in rows]
    return np.concatenate([np.zeros((0, BITS // 8), np.uint8), *blocks])


def reverse_complement(text: str) -> str:
    """Return the other strand of DNA, read in its own direction."""
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def _of_molecules(smiles: Sequence[str], rows: int = 4096) -> Iterator[np.ndarray]:
    from rdkit.Chem import rdFingerprintGenerator
    from rdkit.rdBase import BlockLogs

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)

    def one(text: str) -> Any:
        molecule = parsed(text)
        return np.zeros(BITS, np.uint8) if molecule is None else generator.GetFingerprintAsNumPy(molecule)

    for begin in range(0, len(smiles), rows):
        with BlockLogs():
            found = np.stack([one(text) for text in smiles[begin : begin + rows]])
        yield found


def _of_words(texts: Sequence[str], kind: str) -> Iterator[np.ndarray]:
    begin = 0
    while begin < len(texts):
        end, letters = begin, 0
        # a block in letters, and in rows, which become bits
        while end < len(texts) and end - begin < 8192 and letters < BLOCK_LETTERS:
            letters += len(texts[end])
            end += 1
        yield _bits(texts[begin:end], kind)
        begin = end


def _bits(texts: Sequence[str], kind: str) -> np.ndarray:
    """Return the bits (N, BITS) uint8 of the words of sequences; one shorter than a word is a word."""
    size = WORD[kind]
    coded = LETTERS[kind].encode(texts)
    numbers, owners = words(coded, size)
    if kind == "dna":
        numbers = np.minimum(numbers, _other_strand(numbers, size))
    short = [(owner, text) for owner, text in enumerate(texts) if len(text) < size]
    numbers = np.concatenate([numbers, np.array([_spelled(text) for _, text in short], np.int64)])
    owners = np.concatenate([owners, np.array([owner for owner, _ in short], np.int64)])
    hashes = _scatter(numbers)
    order = np.lexsort((hashes, owners))
    owners, hashes = owners[order], hashes[order]
    fresh = np.ones(len(hashes), bool)
    fresh[1:] = (np.diff(owners) != 0) | (hashes[1:] != hashes[:-1])
    owners, hashes = owners[fresh], hashes[fresh]
    rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
    kept = rank < MOST_WORDS
    marks = np.zeros((len(texts), BITS), np.uint8)
    # order compares the high bits first, so the low ones are free to place a word
    marks[owners[kept], (hashes[kept] & np.uint64(BITS - 1)).astype(np.int64)] = 1
    return marks


def _other_strand(numbers: np.ndarray, size: int) -> np.ndarray:
    """Return the numbers of the reverse complements of words."""
    found, rest = np.zeros_like(numbers), numbers.copy()
    for _ in range(size):
        found = found * 4 + 3 - rest % 4
        rest //= 4
    return found


def _spelled(text: str) -> int:
    """Return a number below zero for a text that is too short for a word."""
    return -1 - int.from_bytes(text.encode(), "big") % 2**62


def _scatter(numbers: np.ndarray) -> np.ndarray:
    """Hash numbers (splitmix64, doi:10.1145/2714064.2660195)."""
    found = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
