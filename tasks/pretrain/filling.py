"""Fill windows with tokens: read, turned to the other strand, spelled anew, and packed by the objective."""

from dataclasses import dataclass

import numpy as np

from bio_xlstm.tasks.pretrain.luck import mixed
from bio_xlstm.tasks.pretrain.objectives import Objective
from bio_xlstm.tasks.pretrain.packing import Letters, PackedBatch
from bio_xlstm.tasks.pretrain.respelling import Respelling
from bio_xlstm.tasks.pretrain.token_store import TokenStore
from bio_xlstm.tasks.pretrain.windows import Windows, in_sets, whole_pieces


@dataclass(frozen=True)
class Filler:
    """Make batches of the windows of one store."""

    store: TokenStore
    objective: Objective
    soft_weight: float = 1.0
    """Weight of lower-case letters in the loss."""
    respelling: Respelling | None = None

    def costs(self, windows: Windows, reverse: np.ndarray | None, base: np.ndarray) -> np.ndarray:
        """Return how many tokens every window (W,) has at most, as `fill` with the same arguments makes them."""
        heads, tails = self.objective.framing.added(_closing(windows, reverse), windows.last)
        tokens = heads + tails + self.letters(windows, base)
        return np.add.reduceat(tokens, windows.firsts[:-1]) - self.objective.shifts

    def letters(self, windows: Windows, base: np.ndarray) -> np.ndarray:
        """Return how many tokens every entry (S,) has at most, besides start and stop."""
        lengths, keys = windows.lengths, keys_of(windows, base)
        grown = lengths + self.objective.growth(lengths, keys)
        if self.respelling:
            chosen = self.respelling.chosen(windows, keys)
            grown += np.where(chosen, self.respelling.room(lengths), 0)
        return grown

    def set_windows(self, pieces: np.ndarray, window: int, base: np.ndarray, turn: int = 0) -> Windows:
        """Put whole sequences (S,), those of one set after the other, into windows of at most `window` tokens."""
        alone = whole_pieces(self.store, pieces, turn)
        framing = self.objective.framing
        costs = (framing.start is not None) + self.letters(alone, base)
        # a stop that is no start stands for itself
        costs += alone.closes & (framing.stop is not None) & (framing.stop != framing.start)
        return in_sets(alone, self.store.sets[pieces], costs, window)

    def fill(self, windows: Windows, reverse: np.ndarray | None, base: np.ndarray) -> PackedBatch:
        """Make a batch; `reverse` (W,) bool marks windows that are shown as the other strand.

        What is drawn for an entry depends on `base`, on its place in the store, and on its turn alone.
        """
        letters = self._read(windows, reverse, keys_of(windows, base))
        if self.respelling:
            chosen = self.respelling.chosen(windows, letters.keys)
            letters = self.respelling.spell(letters, chosen, self.objective.framing.allowed)
        return self.objective.pack(letters)

    def _read(self, windows: Windows, reverse: np.ndarray | None, keys: np.ndarray) -> Letters:
        """Read the ids of windows."""
        framing, lengths = self.objective.framing, windows.lengths
        ends = np.cumsum(lengths)
        owner = np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(ends[-1]) - (ends - lengths)[owner]
        there = windows.begin[owner] + place
        if reverse is not None:
            flipped = reverse[windows.window][owner]
            there = np.where(flipped, windows.end[owner] - 1 - place, there)
        ids = self.store.tokens[there].astype(np.int64)
        if reverse is not None and framing.complement is not None:
            ids = np.where(flipped, framing.complement[ids], ids)
        weights = np.ones(len(ids), np.float32)
        if len(self.store.soft) and self.soft_weight != 1:
            weights[self.store.soft[there]] = self.soft_weight
        closes = _closing(windows, reverse)
        return Letters(
            ids, lengths, windows.window, closes, weights, keys, framing.allowed[ids], stops_asked=closes
        )


def _closing(windows: Windows, reverse: np.ndarray | None) -> np.ndarray:
    """Mark the entries (S,) that end at a true end, read in the direction of their window."""
    if reverse is None:
        return windows.closes
    return np.where(reverse[windows.window], windows.opens, windows.closes)


def keys_of(windows: Windows, base: np.ndarray) -> np.ndarray:
    """Return the key (S,) of every entry."""
    return mixed(mixed(windows.begin, base), windows.turn)
