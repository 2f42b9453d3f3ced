"""Tanimoto similarity of packed fingerprints, block by block: memory does not grow with the number of pairs."""

from collections.abc import Iterator, Sequence

import numpy as np

from bio_xlstm.tasks.assay.fingerprint import BITS
from bio_xlstm.tasks.evaluate.fingerprints import similarities

# fingerprints unpacked at a time: 32 MB as float32
TILE = 4096
ROWS = 512


def pairs(prints: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield (first row, first column, similarities (R, C)) until all pairs (N, M) are covered; blocks are reused."""
    for column in range(0, len(others), TILE):
        tile = unpacked(others[column : column + TILE])
        for start in range(0, len(prints), TILE):
            rows = unpacked(prints[start : start + TILE])
            for number, block in enumerate(similarities(rows, tile, ROWS)):
                yield start + number * ROWS, column, block


def nearest(prints: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for every fingerprint (N, bytes) its highest similarity (N,) to others, and to which (N,), -1 for none."""
    best = np.full(len(prints), -1.0, np.float32)
    which = np.full(len(prints), -1, np.int64)
    for row, column, block in pairs(prints, others):
        found = block.argmax(1)
        reached = block[np.arange(len(block)), found]
        rows = slice(row, row + len(block))
        better = reached > best[rows]
        best[rows] = np.where(better, reached, best[rows])
        which[rows] = np.where(better, found + column, which[rows])
    return np.maximum(best, 0), which


def nearest_fellow(prints: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the highest similarity of chosen fingerprints (`rows`, R numbers) to any of the others; 0 where alone."""
    best = np.zeros(len(rows), np.float32)
    for row, column, block in pairs(prints[rows], prints):
        own = rows[row : row + len(block)] - column
        mine = np.flatnonzero((own >= 0) & (own < block.shape[1]))
        block[mine, own[mine]] = 0
        best[row : row + len(block)] = np.maximum(best[row : row + len(block)], block.max(1))
    return best


def linked(prints: np.ndarray, thresholds: Sequence[float]) -> dict[float, np.ndarray]:
    """Return, for every threshold, numbers (N,) of groups: two are in one if a chain of similar ones joins them.

    This is single linkage. Time grows with N squared, memory with N.
    """
    found = {threshold: np.arange(len(prints)) for threshold in thresholds}
    for row, column, block in pairs(prints, prints):
        # the lower triangle holds every pair once
        if column >= row + len(block):
            continue
        for threshold, groups in found.items():
            close = block >= threshold
            for place in np.flatnonzero(close.any(1)).tolist():
                _join(groups, np.append(np.flatnonzero(close[place]) + column, row + place))
    return {threshold: np.unique(groups, return_inverse=True)[1] for threshold, groups in found.items()}


def unpacked(prints: np.ndarray) -> np.ndarray:
    """Return the bits (N, BITS) uint8 of packed fingerprints."""
    return np.unpackbits(prints, axis=1, count=BITS)


def _join(groups: np.ndarray, members: np.ndarray) -> None:
    """Give the groups of some members one number, in place."""
    numbers = np.unique(groups[members])
    if len(numbers) > 1:
        groups[np.isin(groups, numbers[1:])] = numbers[0]
