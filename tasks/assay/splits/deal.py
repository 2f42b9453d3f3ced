"""Deal groups of sequences to parts so that the parts get the sizes they should have."""

from collections.abc import Sequence

import numpy as np


def deal(
    groups: np.ndarray, shares: Sequence[float], seed: int, strata: np.ndarray | None = None
) -> list[np.ndarray]:
    """Return sorted numbers of the members of every part; a group (N,) is never divided.

    Groups larger than half of the smallest part come first, each to the part that misses most, so that they go to a
    large one. The others follow in random order, of one stratum (by their first member) after the other, so that every
    stretch of them is divided as the whole. A part with a share gets one group at least, where there are enough.
    """
    numbers, first, where, sizes = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    wanted = np.array(shares, float) / sum(shares) * len(groups)
    luck = np.random.default_rng(seed).random(len(numbers))
    stratum = np.zeros(len(numbers)) if strata is None else strata[first]
    large = 2 * sizes > max(wanted[wanted > 0].min(), 1)
    owner = np.zeros(len(numbers), np.int64)
    held = np.zeros(len(wanted))
    for number in np.flatnonzero(large)[np.lexsort((luck[large], -sizes[large]))].tolist():
        owner[number] = int(np.argmax(wanted - held))
        held[owner[number]] += sizes[number]
    small = np.flatnonzero(~large)[np.lexsort((luck[~large], stratum[~large]))]
    owner[small] = _in_turn(sizes[small], np.maximum(wanted - held, 0))
    _fill_empty(owner, sizes, wanted)
    part_of = owner[where.reshape(-1)]
    return [np.flatnonzero(part_of == part) for part in range(len(wanted))]


def _in_turn(sizes: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """Return the part of every group in a row, so that parts grow at the same pace towards what they need."""
    total = max(float(sizes.sum()), 1.0)
    given, dealt = np.zeros(len(needed)), 0
    found = np.zeros(len(sizes), np.int64)
    for place, size in enumerate(sizes.tolist()):
        dealt += size
        found[place] = int(np.argmax(needed * (dealt / total) - given))
        given[found[place]] += size
    return found


def _fill_empty(owner: np.ndarray, sizes: np.ndarray, wanted: np.ndarray) -> None:
    """Give every part that should have something the smallest group of the part with most groups."""
    for part in np.flatnonzero(wanted > 0).tolist():
        counts = np.bincount(owner, minlength=len(wanted))
        if counts[part] or counts.max() < 2:
            continue
        rich = np.flatnonzero(owner == int(np.argmax(counts)))
        owner[rich[np.argmin(sizes[rich])]] = part
