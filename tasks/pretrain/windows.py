"""Cut token files into windows: of one sequence, or of several sequences of a set."""

from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.pretrain.token_store import TokenStore


class Windows(NamedTuple):
    """Hold where windows lie in a store, one entry for each of the S sequences or parts of sequences in them."""

    begin: np.ndarray  # (S,) first id
    end: np.ndarray  # (S,) one past the last id
    opens: np.ndarray  # (S,) bool, begins where its sequence begins
    closes: np.ndarray  # (S,) bool, ends where its sequence ends
    domain: np.ndarray  # (S,)
    piece: np.ndarray  # (S,) number of the sequence in its store
    turn: np.ndarray  # (S,) how often an epoch has shown it before
    window: np.ndarray  # (S,) number of the window, 0 to W - 1, never falling

    @property
    def total(self) -> int:
        """Return the number of windows W."""
        return int(self.window[-1]) + 1 if len(self.window) else 0

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of ids of every entry, (S,)."""
        return self.end - self.begin

    @property
    def firsts(self) -> np.ndarray:
        """Return the first entry of every window, and the number of entries; (W + 1,)."""
        return np.searchsorted(self.window, np.arange(self.total + 1))

    @property
    def last(self) -> np.ndarray:
        """Mark the last entry of every window, (S,) bool."""
        return np.append(self.window[1:] != self.window[:-1], True)[: len(self.window)]

    def take(self, order: np.ndarray) -> "Windows":
        """Select windows in the given order."""
        firsts = self.firsts
        sizes = np.diff(firsts)[order]
        begins = np.cumsum(sizes) - sizes
        entries = np.arange(sizes.sum()) + np.repeat(firsts[:-1][order] - begins, sizes)
        numbers = np.repeat(np.arange(len(order)), sizes)
        return Windows(*(field[entries] for field in self))._replace(window=numbers)

    def between(self, first: int, last: int) -> "Windows":
        """Select consecutive windows."""
        begin, end = np.searchsorted(self.window, [first, last])
        chosen = Windows(*(field[begin:end] for field in self))
        return chosen._replace(window=chosen.window - first)

    def join(self, other: "Windows") -> "Windows":
        """Put other windows after these."""
        other = other._replace(window=other.window + self.total)
        return Windows(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


def cut_windows(
    store: TokenStore,
    window: int,
    phases: np.ndarray | None = None,
    *,
    room: int = 1,
    chosen: np.ndarray | None = None,
) -> Windows:
    """Cut every sequence into windows of at most `window - room` ids; with phases the first one is that long.

    The room is for the start token and others, so that inputs never exceed `window`. Together the windows hold every
    id of the `chosen` sequences (N,) exactly once.
    """
    size = window - room
    lengths = np.diff(store.offsets)
    first = np.minimum(lengths, size if phases is None else np.where(lengths > size, phases, size))
    counts = 1 + -(-(lengths - first) // size)  # windows of every sequence
    counts[(lengths == 0) if chosen is None else (lengths == 0) | ~chosen] = 0
    owner = np.repeat(np.arange(len(lengths)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.where(place == 0, 0, first[owner] + (place - 1) * size)
    end = np.minimum(first[owner] + place * size, lengths[owner])
    opens, closes = (begin == 0) & store.begins[owner], (end == lengths[owner]) & store.ends[owner]
    base = store.offsets[:-1][owner]
    return Windows(
        base + begin,
        base + end,
        opens,
        closes,
        store.domains[owner],
        owner,
        np.zeros(len(owner), np.int64),
        np.arange(len(owner)),
    )


def whole_pieces(store: TokenStore, pieces: np.ndarray, turn: int = 0) -> Windows:
    """Make a window of each of some whole sequences."""
    return Windows(
        store.offsets[:-1][pieces],
        store.offsets[1:][pieces],
        store.begins[pieces],
        store.ends[pieces],
        store.domains[pieces],
        pieces,
        np.full(len(pieces), turn),
        np.arange(len(pieces)),
    )


def in_sets(alone: Windows, sets: np.ndarray, costs: np.ndarray, window: int) -> Windows:
    """Join sequences (S,) in their order into windows of at most `window` tokens, at a cost (S,) each.

    Consecutive sequences of one set share windows. What does not fit into a window alone is left out.
    """
    fitting = np.flatnonzero(costs <= window)
    alone, sets = alone.take(fitting), sets[fitting]
    breaks = np.flatnonzero(np.append(sets[1:] != sets[:-1], True)[: len(sets)]) + 1
    borders = budget_groups(costs[fitting], window, breaks)
    return alone._replace(window=np.repeat(np.arange(len(borders) - 1), np.diff(borders)))


def budget_groups(spans: np.ndarray, budget: int, breaks: np.ndarray | None = None) -> np.ndarray:
    """Group consecutive windows greedily so that no group exceeds the budget; gives group borders (G + 1,).

    No group holds what stands on two sides of a break.
    """
    total = np.concatenate([[0], np.cumsum(spans)])
    borders = [0]
    while borders[-1] < len(spans):
        here = borders[-1]
        last = int(np.searchsorted(total, total[here] + budget, side="right")) - 1
        if breaks is not None:
            last = min(last, int(breaks[np.searchsorted(breaks, here, side="right")]))
        borders.append(max(last, here + 1))
    return np.array(borders)
