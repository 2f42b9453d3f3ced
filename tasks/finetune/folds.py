"""Folds of the training part, by which penalties and features are chosen."""

from collections.abc import Sequence

import numpy as np

COUNT = 5


def deal_folds(groups: Sequence[object] | np.ndarray, count: int = COUNT, seed: int = 0) -> np.ndarray:
    """Give every row (N,) a fold 0 .. count - 1 so that groups stay together and folds are of like size.

    There are fewer folds where there are fewer groups, and one fold alone where there is one group.
    """
    _, numbers = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sizes = np.bincount(numbers)
    order = np.random.default_rng(seed).permutation(len(sizes))
    # large groups first, each to the fold that is emptiest
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(min(count, len(sizes)), np.int64)
    fold_of = np.zeros(len(sizes), np.int64)
    for group in order.tolist():
        fold = int(np.argmin(filled))
        fold_of[group] = fold
        filled[fold] += sizes[group]
    return fold_of[numbers]
