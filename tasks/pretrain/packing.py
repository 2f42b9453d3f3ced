"""Cut token files into windows and pack windows into batches up to a token budget; nothing is padded.

The order of batches is a function of (seed, step): a resumed run continues where it stopped without replaying.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.token_store import TokenStore

IGNORED = -100


class Framing(NamedTuple):
    """Hold what turns ids into inputs and targets."""

    start: int
    stop: int
    allowed: np.ndarray  # (V,) bool, which ids may be predicted
    complement: np.ndarray | None = None  # (V,) ids of the other strand

    @classmethod
    def of(cls, tokenizer: Any) -> "Framing":
        """Read the framing of a tokenizer."""
        if tokenizer.start is None or tokenizer.stop is None:
            raise ConfigError(
                f"the {tokenizer.kind} vocabulary has no start or stop token: it cannot be trained on"
            )
        allowed = np.array(tokenizer.targets, bool)
        allowed[tokenizer.stop] = True
        return cls(tokenizer.start, tokenizer.stop, allowed, tokenizer.complement)


class Windows(NamedTuple):
    """Hold where windows lie in a store, one entry per window."""

    begin: np.ndarray  # (N,) first id
    end: np.ndarray  # (N,) one past the last id
    opens: np.ndarray  # (N,) bool, begins where its sequence begins
    closes: np.ndarray  # (N,) bool, ends where its sequence ends
    domain: np.ndarray  # (N,)

    def take(self, order: np.ndarray) -> "Windows":
        """Select windows in the given order."""
        return Windows(*(field[order] for field in self))


class PackedBatch(NamedTuple):
    """Hold one batch as plain arrays."""

    tokens: np.ndarray  # (1, T) int64 inputs: start token, then ids
    targets: np.ndarray  # (1, T) int64 ids after them, -100 where nothing is to be predicted
    cu_seqlens: np.ndarray  # (N + 1,) int32


def cut_windows(store: TokenStore, window: int, phases: np.ndarray | None = None) -> Windows:
    """Cut every sequence into windows of at most `window - 1` ids; with phases the first one is that long.

    One token of the window is the start token, so that inputs never exceed `window`. Together the windows hold
    every id exactly once.
    """
    size = window - 1
    lengths = np.diff(store.offsets)
    first = np.minimum(lengths, size if phases is None else np.where(lengths > size, phases, size))
    counts = 1 + -(-(lengths - first) // size)  # windows of every sequence
    counts[lengths == 0] = 0
    owner = np.repeat(np.arange(len(lengths)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.where(place == 0, 0, first[owner] + (place - 1) * size)
    end = np.minimum(first[owner] + place * size, lengths[owner])
    opens, closes = (begin == 0) & store.begins[owner], (end == lengths[owner]) & store.ends[owner]
    base = store.offsets[:-1][owner]
    return Windows(base + begin, base + end, opens, closes, store.domains[owner])


def fill(
    store: TokenStore, windows: Windows, framing: Framing, reverse: np.ndarray | None = None
) -> PackedBatch:
    """Write windows end to end as inputs and targets; `reverse` (N,) bool marks reverse complements.

    The stop token is a target only after the true end of a sequence, read in the direction of the window.
    """
    lengths = windows.end - windows.begin
    flipped = np.zeros(len(lengths), bool) if reverse is None else reverse
    stops = np.where(flipped, windows.opens, windows.closes)
    spans = lengths + stops  # tokens of every window: start + ids, the last id only where the stop follows
    offsets = np.concatenate([[0], np.cumsum(spans)])
    owner = np.repeat(np.arange(len(spans)), spans)
    place = np.arange(offsets[-1]) - offsets[owner]
    inside = place < lengths[owner]
    clipped = np.minimum(place, lengths[owner] - 1)
    forward = windows.begin[owner] + clipped
    ids = store.tokens[np.where(flipped[owner], windows.end[owner] - 1 - clipped, forward)].astype(np.int64)
    if framing.complement is not None:
        ids = np.where(flipped[owner], framing.complement[ids], ids)
    following = np.where(inside, ids, framing.stop)  # (T,) the id at every place, the stop after the last
    inputs = np.where(place == 0, framing.start, np.roll(following, 1))
    targets = np.where(framing.allowed[following], following, IGNORED)
    return PackedBatch(inputs[None], targets[None], offsets.astype(np.int32))


def budget_groups(spans: np.ndarray, budget: int) -> np.ndarray:
    """Group consecutive windows greedily so that no group exceeds the budget; gives group borders (G + 1,)."""
    total = np.concatenate([[0], np.cumsum(spans)])
    borders = [0]
    while borders[-1] < len(spans):
        last = int(np.searchsorted(total, total[borders[-1]] + budget, side="right")) - 1
        borders.append(max(last, borders[-1] + 1))
    return np.array(borders)


class BatchOrder:
    """Give the training batch of any step.

    An epoch shows every window of a domain of weight 1 exactly once, in random order; a domain of weight 2.5
    twice, and a random half of its windows a third time. Long sequences are cut at other places in every epoch.
    """

    def __init__(
        self,
        store: TokenStore,
        framing: Framing,
        *,
        window: int,
        budget: int,
        weights: Sequence[float],
        reverse_complement: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not len(store):
            raise ConfigError("the training part of the corpus is empty")
        if reverse_complement and framing.complement is None:
            raise ConfigError("reverse_complement is only possible for DNA")
        self.store, self.framing = store, framing
        self.window, self.budget, self.seed = window, budget, seed
        self.weights = np.asarray(weights, float)
        self.reverse_complement = reverse_complement
        self._epoch = -1
        self._first_step = 0
        self._open(0)

    def batch(self, step: int) -> PackedBatch:
        """Build the batch of a step, counted from 0 over all epochs."""
        if step < self._first_step:
            self._first_step, self._epoch = 0, -1
            self._open(0)
        while step >= self._first_step + len(self._borders) - 1:
            self._first_step += len(self._borders) - 1
            self._open(self._epoch + 1)
        group = step - self._first_step
        chosen = slice(self._borders[group], self._borders[group + 1])
        return fill(
            self.store,
            Windows(*(field[chosen] for field in self._windows)),
            self.framing,
            self._reverse[chosen],
        )

    def from_step(self, step: int) -> Iterator[PackedBatch]:
        """Yield batches without end."""
        while True:
            yield self.batch(step)
            step += 1

    @property
    def epoch_steps(self) -> int:
        """Return the number of batches of the current epoch."""
        return len(self._borders) - 1

    def _open(self, epoch: int) -> None:
        """Lay out one epoch: cut, repeat by weight, shuffle, flip strands, group."""
        rng = np.random.default_rng([self.seed, epoch])
        phases = rng.integers(1, self.window, size=len(self.store))
        windows = cut_windows(self.store, self.window, phases)
        weight = self.weights[windows.domain]
        times = np.floor(weight).astype(int) + (rng.random(len(weight)) < weight % 1)
        order = rng.permutation(np.repeat(np.arange(len(weight)), times))
        self._windows = windows.take(order)
        self._reverse = rng.random(len(order)) < self.reverse_complement
        spans = self._windows.end - self._windows.begin
        spans += np.where(self._reverse, self._windows.opens, self._windows.closes)
        self._borders = budget_groups(spans, self.budget)
        self._epoch = epoch
