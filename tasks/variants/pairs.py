"""A variant with its wild type as one row of numbers, so that it goes the way of a sequence through the workers."""

from typing import NamedTuple

import numpy as np


class Pair(NamedTuple):
    """Hold a variant and its wild type as bare ids; the wild type is None where nobody knows it."""

    wild: np.ndarray | None
    mutant: np.ndarray


def pack_pair(pair: Pair) -> np.ndarray:
    """Lay a pair out as -(length of the wild type), wild type, mutant; a lone sequence as it is.

    >>> pack_pair(Pair(np.array([4, 5]), np.array([4, 6]))).tolist()
    [-2, 4, 5, 4, 6]
    """
    if pair.wild is None:
        return pair.mutant
    return np.concatenate(([-len(pair.wild)], pair.wild, pair.mutant)).astype(np.int64)


def unpack_pair(row: np.ndarray, dtype: type) -> Pair:
    """Take apart what `pack_pair` put together; ids get their type back."""
    # no id is negative
    if row[0] >= 0:
        return Pair(None, row.astype(dtype, copy=False))
    length = -int(row[0])
    ids: np.ndarray = row[1:].astype(dtype)
    return Pair(ids[:length], ids[length:])
