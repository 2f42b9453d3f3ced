"""Batches of held-out sequences in a fixed order."""

from collections.abc import Iterator

import numpy as np

from bio_xlstm.tasks.pretrain.packing import Framing, PackedBatch, Windows, budget_groups, cut_windows, fill
from bio_xlstm.tasks.pretrain.token_store import TokenStore


def held_out_batches(
    store: TokenStore, domain: int, framing: Framing, *, window: int, budget: int, tokens: int = 0
) -> Iterator[PackedBatch]:
    """Yield all windows of one domain, or about `tokens` tokens of them spread evenly."""
    chosen = store.select(np.asarray(store.domains) == domain)
    windows = cut_windows(chosen, window)
    spans = windows.end - windows.begin + windows.closes
    if tokens and spans.sum() > tokens:
        every = np.linspace(0, len(spans) - 1, max(1, int(len(spans) * tokens / spans.sum())))
        picked = np.unique(every.astype(int))
        windows, spans = windows.take(picked), spans[picked]
    borders = budget_groups(spans, budget)
    for begin, end in zip(borders[:-1], borders[1:], strict=True):
        yield fill(chosen, Windows(*(field[begin:end] for field in windows)), framing)
