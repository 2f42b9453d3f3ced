"""Choose homologs from a family: how redundant every sequence is, how alike the query, and a fair sample."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from bio_xlstm.records.alignment import Alignment

THETA = 0.2
MAX_SIMILARITY = 0.98
MAX_DISSIMILARITY = 0.7

# bits of a letter's number, A 1 to Z 26
_PLANES = 5
# rows compared at a time: what is in work stays in the cache
_ROWS, _OTHERS = 64, 2048


def sequence_weights(columns: np.ndarray, theta: float = THETA) -> np.ndarray:
    """Return one over the number of sequences that are more than `1 - theta` like each sequence, itself among them.

    `columns` (N, C) as in `Alignment`. How alike b is to a is the share of a's residues that b has in the same
    columns, so a fragment is like the whole, but not the whole like the fragment. Time grows with N squared: a family
    of 10,000 sequences and 500 columns takes seconds, with memory of a few times the columns.
    """
    residues = (columns > 0).sum(1)
    limits = (1 - theta) * residues
    alike = np.zeros(len(columns), np.int64)
    for rows, others, identical in _identical(columns):
        similar = identical > limits[rows, None]
        alike[rows] += similar.sum(1)
        if others.start >= rows.stop:
            alike[others] += (identical > limits[None, others]).sum(0)
    # a row without residues is like nothing, not even itself
    return 1 / np.maximum(alike, 1)


def similarity(columns: np.ndarray, query: int = 0) -> np.ndarray:
    """Return the share of the query's residues that every sequence (N,) has in the same columns."""
    asked = columns[query]
    return ((columns == asked) & (asked > 0)).sum(1) / max((asked > 0).sum(), 1)


def comparable(
    family: Alignment,
    query: int = 0,
    max_similarity: float = MAX_SIMILARITY,
    max_dissimilarity: float = MAX_DISSIMILARITY,
) -> np.ndarray:
    """Mark the sequences (N,) that are neither too like the query nor too unlike it; all where nothing is aligned.

    The limits default to those that Prot-xLSTM was trained with.
    """
    if family.columns is None:
        return np.ones(len(family.sequences), bool)
    alike = similarity(family.columns, query)
    return (alike <= max_similarity) & (alike >= 1 - max_dissimilarity)


def sample_homologs(
    family: Alignment,
    rng: np.random.Generator,
    *,
    count: int | None = None,
    tokens: int | None = None,
    weights: np.ndarray | None = None,
    query: int = 0,
    max_similarity: float = MAX_SIMILARITY,
    max_dissimilarity: float = MAX_DISSIMILARITY,
) -> np.ndarray:
    """Draw homologs of the query without replacement, likely by weight, and give their numbers in random order.

    At most `count` of them, and no more than fit into `tokens` with a start token each. Sequences too like the query
    (the query itself, too) and too unlike it are left out, where the family is aligned. `weights` (N,) default to
    `sequence_weights`, and to equal ones without an alignment.
    """
    lengths = np.array([len(sequence) + 1 for sequence in family.sequences])
    if family.columns is not None and weights is None:
        weights = sequence_weights(family.columns)
    eligible = comparable(family, query, max_similarity, max_dissimilarity)
    eligible[query] = False
    # the smallest of exponential variates over weights is a draw by weight, the next one without replacement
    luck = rng.exponential(size=len(lengths)) / (1 if weights is None else weights)
    order = np.argsort(luck)
    order = order[eligible[order]]
    if tokens is not None:
        order = np.array(list(_fitting(order, lengths, tokens)), np.int64)
    return rng.permutation(order[:count])


def _fitting(order: np.ndarray, lengths: np.ndarray, tokens: int) -> Iterator[int]:
    """Go through sequences in their order and take each that still fits."""
    shortest = lengths.min(initial=1)
    for number in order.tolist():
        if lengths[number] <= tokens:
            tokens -= lengths[number]
            yield number
        if tokens < shortest:
            return


def _identical(columns: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield blocks of rows, of rows from there on, and how many residues they have in common, every pair once.

    A column is one bit in five planes of 64 columns to the word, so that two rows are compared with a few operations.
    """
    planes, residues = _bit_planes(columns)
    count = len(columns)
    for begin in range(0, count, _ROWS):
        rows = slice(begin, min(begin + _ROWS, count))
        borders = [begin, *range(rows.stop, count, _OTHERS), count]
        for first, last in pairwise(borders):
            others = slice(first, last)
            identical = np.zeros((rows.stop - begin, last - first), np.int32)
            for word in range(residues.shape[0]):
                differs = planes[0, word, rows, None] ^ planes[0, word, None, others]
                for plane in planes[1:]:
                    differs |= plane[word, rows, None] ^ plane[word, None, others]
                np.invert(differs, out=differs)
                differs &= residues[word, rows, None]
                identical += _ones(differs)
            yield rows, others, identical


def _bit_planes(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pack letters into planes (5, W, N) and residues (W, N), 64 columns to the uint64."""
    codes = columns & (2**_PLANES - 1)
    bits = [codes >> plane & 1 for plane in range(_PLANES)]
    packed = [_words(bit) for bit in [*bits, columns > 0]]
    return np.stack(packed[:-1]), packed[-1]


def _words(bits: np.ndarray) -> np.ndarray:
    """Pack bits (N, C) into uint64 words (W, N)."""
    packed = np.packbits(bits, axis=1)
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return np.ascontiguousarray(np.ascontiguousarray(padded).view(np.uint64).T)


_ONES_IN_BYTE = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def _ones(words: np.ndarray) -> np.ndarray:
    """Count the bits of every word."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    # before numpy 2
    return _ONES_IN_BYTE[words[..., None].view(np.uint8)].sum(-1)
