"""Fair choices by a seed: fewer of many, and two halves."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def thinned(items: Sequence[Item], most: int, seed: int) -> list[Item]:
    """Return a random choice of items in their order, or all."""
    if len(items) <= most:
        return list(items)
    chosen = np.random.default_rng(seed).choice(len(items), most, replace=False)
    return [items[number] for number in np.sort(chosen).tolist()]


def halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the numbers below `count` at random into two halves, in order; the second may hold one more."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])
