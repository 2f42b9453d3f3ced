"""Where two sequences differ: single letters, or spans that one has in place of the other's."""

from typing import NamedTuple

import numpy as np


class Change(NamedTuple):
    """Put ids in place of those between `begin` and `end`."""

    begin: int
    end: int
    ids: np.ndarray

    def key(self) -> tuple[int, int]:
        """Return what is replaced."""
        return self.begin, self.end


def changed_places(wild: np.ndarray, mutant: np.ndarray) -> np.ndarray:
    """Return the indices of letters that differ, of sequences of one length."""
    return np.flatnonzero(wild != mutant)


def find_changes(wild: np.ndarray, mutant: np.ndarray, most: int) -> list[Change]:
    """Return at most so many changes that turn a sequence into another; none of them leaves or makes nothing.

    Between sequences of one length neighbouring letters are one change, and the nearest changes become one where there
    are too many. Otherwise it is one change, from the first letter that differs to the last.

    >>> [change.key() for change in find_changes(np.array([1, 2, 3, 4, 5]), np.array([1, 9, 3, 8, 7]), 5)]
    [(1, 2), (3, 5)]
    """
    if len(wild) != len(mutant):
        return [_between(wild, mutant)]
    places = changed_places(wild, mutant)
    if not len(places):
        return []
    gaps = np.diff(places)
    # the widest gaps part the changes
    kept = sorted(np.argsort(-gaps, kind="stable")[: most - 1].tolist())
    borders = [index + 1 for index in kept if gaps[index] > 1]
    return [
        Change(int(run[0]), int(run[-1]) + 1, mutant[run[0] : run[-1] + 1])
        for run in np.split(places, borders)
    ]


def _between(wild: np.ndarray, mutant: np.ndarray) -> Change:
    """Return the one change between sequences of different length."""
    shorter = min(len(wild), len(mutant))
    before = int((wild[:shorter] == mutant[:shorter]).cumprod().sum())
    behind = int((wild[len(wild) - shorter :] == mutant[len(mutant) - shorter :])[::-1].cumprod().sum())
    # at least one letter is replaced, by at least one
    before = min(before, shorter - 1)
    behind = min(behind, shorter - before - 1)
    return Change(before, len(wild) - behind, mutant[before : len(mutant) - behind])
