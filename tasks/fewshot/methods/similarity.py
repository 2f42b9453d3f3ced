"""Tanimoto similarities of molecules of a library."""

import numpy as np

from bio_xlstm.tasks.evaluate.fingerprints import similarities
from bio_xlstm.tasks.fewshot.library import Library


def tanimoto(library: Library, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the similarities (N, M) of Morgan bits, from 0 to 1."""
    # the blocks are one buffer
    blocks = [block.copy() for block in similarities(library.bits(rows), library.bits(others))]
    return np.concatenate(blocks).astype(np.float64)
