"""Similarities to some training examples as columns whose products are the similarities of all."""

import numpy as np

# training examples that others are compared with
COUNT = 1024
# directions that hold less than this share of the largest one are rounding
_SHARE = 1e-6


def pick(count: int, seed: int) -> np.ndarray:
    """Draw landmarks among rows 0 .. count - 1."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:COUNT])


def root(similar: np.ndarray) -> np.ndarray:
    """Return R (M, K) with K columns so that S R (S R)^T is S, for similarities S (M, M) of the landmarks."""
    values, vectors = np.linalg.eigh(similar.astype(np.float64))
    kept = values > _SHARE * max(float(values[-1]), 1e-12)
    found: np.ndarray = (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32)
    return found
