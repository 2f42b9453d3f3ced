"""Batches of held-out sequences in a fixed order."""

from collections.abc import Iterator

import numpy as np

from bio_xlstm.tasks.pretrain.filling import Filler
from bio_xlstm.tasks.pretrain.luck import base_key, uniform
from bio_xlstm.tasks.pretrain.packing import PackedBatch
from bio_xlstm.tasks.pretrain.windows import budget_groups, cut_windows

# everything that is drawn for held-out data comes from this
_SEED = 2**32 - 1


def held_out_batches(
    filler: Filler, domain: int, *, window: int, budget: int, tokens: int = 0
) -> Iterator[PackedBatch]:
    """Yield all windows of one domain, or about `tokens` tokens of them spread evenly.

    Sets are shown as sets, in a fixed random order, with as many of their sequences as differ. Masks and hidden spans
    are always the same.
    """
    store, base = filler.store, base_key(_SEED)
    mine = np.asarray(store.domains) == domain
    within = mine & (store.sets >= 0)
    room = filler.objective.room
    windows = cut_windows(store, window, room=room, chosen=mine & ~within)
    if within.any():
        keys = np.asarray(store.offsets[:-1])
        pieces = np.flatnonzero(within & (uniform(keys, base) < store.shares))
        pieces = pieces[np.lexsort((uniform(keys[pieces], base_key(_SEED, 1)), store.sets[pieces]))]
        windows = windows.join(filler.set_windows(pieces, window, base))
    if not windows.total:
        return
    costs = filler.costs(windows, None, base)
    if tokens and costs.sum() > tokens:
        every = np.linspace(0, len(costs) - 1, max(1, int(len(costs) * tokens / costs.sum())))
        picked = np.unique(every.astype(int))
        windows, costs = windows.take(picked), costs[picked]
    borders = budget_groups(costs, budget)
    for first, last in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        yield filler.fill(windows.between(first, last), None, base)
