"""The order of training batches: a function of (seed, step), so that a resumed run needs to replay nothing."""

import logging
from collections.abc import Sequence

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.filling import Filler
from bio_xlstm.tasks.pretrain.luck import base_key
from bio_xlstm.tasks.pretrain.packing import PackedBatch
from bio_xlstm.tasks.pretrain.windows import Windows, budget_groups, cut_windows

log = logging.getLogger(__name__)

# epochs without any window, after which there will be none
_PATIENCE = 100


class BatchOrder:
    """Give the training batch of any step.

    An epoch shows every window of a domain of weight 1 exactly once, in random order; a domain of weight 2.5
    twice, and a random half of its windows a third time. Long sequences are cut at other places in every epoch.
    The sequences of a set come in a new order in every epoch; each is drawn with its share, as homologs are redundant.
    """

    def __init__(
        self,
        filler: Filler,
        *,
        stages: Sequence[tuple[int, int]],
        budget: int,
        weights: Sequence[float],
        set_shares: Sequence[float] = (),
        reverse_complement: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Order the windows of a filler; `stages` holds (first step, tokens of a window) pairs from step 0 on."""
        store = filler.store
        if not len(store):
            raise ConfigError(
                "the training part of the corpus is empty: everything is held out, or shares a scaffold or words "
                "with what is (held_out, test, split)"
            )
        if reverse_complement and filler.objective.framing.complement is None:
            raise ConfigError("reverse_complement is only possible for DNA")
        self.filler, self.stages, self.budget, self.seed = filler, tuple(stages), budget, seed
        weight = np.asarray(weights, float)
        self._weights = weight[store.domains] * store.shares
        self._set_shares = np.asarray(set_shares or np.ones(len(weight)))[store.domains]
        self._reverse_complement = reverse_complement
        self._idle = 0
        self._built: tuple[int, PackedBatch] | None = None
        self._check()
        self._rewind()

    def batch(self, step: int) -> PackedBatch:
        """Build the batch of a step, counted from 0 over all epochs."""
        if self._built and step == self._built[0]:
            return self._built[1]
        if step < self._first_step:
            self._rewind()
        while step >= self._first_step + self._steps:
            self._first_step += self._steps
            self._open(self._epoch + 1)
        group = step - self._first_step
        first, last = self._borders[group : group + 2]
        windows, reverse = self._windows.between(first, last), self._reverse[first:last]
        batch = self.filler.fill(windows, reverse, base_key(self.seed, self._epoch))
        self._built = step, batch
        return batch

    def part(self, step: int, part: int, parts: int) -> PackedBatch:
        """Build one of the parts into which the batch of a step is divided."""
        framing = self.filler.objective.framing
        empty = int(np.flatnonzero(framing.allowed)[0]) if framing.start is None else framing.start
        return self.batch(step).part(part, parts, empty)

    @property
    def epoch_steps(self) -> int:
        """Return the number of batches of the current epoch."""
        return len(self._borders) - 1

    def _check(self) -> None:
        """Refuse windows that are too short, and tell which sequences no set can hold."""
        store, objective = self.filler.store, self.filler.objective
        shortest = min(window for _, window in self.stages)
        if shortest <= objective.room:
            raise ConfigError(
                f"[data] windows of {shortest} tokens have no room: at least {objective.room + 1} are needed"
            )
        longest = max(window for _, window in self.stages)
        long = (store.sets >= 0) & (np.diff(store.offsets) + objective.room > longest)
        if long.any():
            log.warning(
                "%d sequences of sets may be too long for a window of %d tokens and are then not shown in sets",
                long.sum(),
                longest,
            )

    def _rewind(self) -> None:
        """Go back to the first epoch."""
        self._first_step = 0
        self._open(0)

    def _open(self, epoch: int) -> None:
        """Lay out one epoch: cut, repeat by weight, shuffle, flip strands, group."""
        rng = np.random.default_rng([self.seed, epoch])
        number = int(np.searchsorted([step for step, _ in self.stages], self._first_step, "right")) - 1
        window = self.stages[number][1]
        within = self._within_sets(epoch)
        windows, times = self._alone(rng, window, ~within)
        if within.any():
            sets = self._of_sets(epoch, window, within)
            windows, times = windows.join(sets), np.append(times, np.ones(sets.total, np.int64))
        order = rng.permutation(np.repeat(np.arange(len(times)), times))
        windows = windows.take(order)
        self._windows = windows._replace(turn=windows.turn + _turns(order)[windows.window])
        self._reverse = rng.random(len(order)) < self._reverse_complement
        costs = self.filler.costs(self._windows, self._reverse, base_key(self.seed, epoch))
        self._borders = budget_groups(costs, self.budget)
        self._epoch = epoch
        self._steps = self.epoch_steps
        if number + 1 < len(self.stages):
            # windows grow in the middle of an epoch
            self._steps = min(self._steps, self.stages[number + 1][0] - self._first_step)
        self._idle = 0 if self._steps else self._idle + 1
        if self._idle > _PATIENCE:
            raise ConfigError(
                "no epoch shows anything: weights are too small, or windows too short for any set"
            )

    def _alone(self, rng: np.random.Generator, window: int, chosen: np.ndarray) -> tuple[Windows, np.ndarray]:
        """Cut sequences that are shown one by one, and tell how often an epoch shows every window."""
        room = self.filler.objective.room
        phases = rng.integers(1, window - room + 1, size=len(self.filler.store))
        windows = cut_windows(self.filler.store, window, phases, room=room, chosen=chosen)
        weight = self._weights[windows.piece]
        return windows, np.floor(weight).astype(int) + (rng.random(len(weight)) < weight % 1)

    def _within_sets(self, epoch: int) -> np.ndarray:
        """Mark the sequences (N,) that an epoch shows within their sets."""
        within = self.filler.store.sets >= 0
        if within.any():
            luck = np.random.default_rng([self.seed, epoch, 1]).random(len(within))
            within &= luck < self._set_shares
        return within

    def _of_sets(self, epoch: int, window: int, within: np.ndarray) -> Windows:
        """Join sequences to windows of their sets, in random order; once or several times by their weight."""
        rng = np.random.default_rng([self.seed, epoch, 2])
        store = self.filler.store
        times = np.floor(self._weights) + (rng.random(len(store)) < self._weights % 1)
        windows = cut_windows(store, window, chosen=np.zeros(len(store), bool))
        for turn in range(int(times[within].max(initial=0))):
            pieces = np.flatnonzero(within & (times > turn))
            pieces = pieces[np.lexsort((rng.random(len(pieces)), store.sets[pieces]))]
            windows = windows.join(self.filler.set_windows(pieces, window, base_key(self.seed, epoch), turn))
        return windows


def _turns(order: np.ndarray) -> np.ndarray:
    """Count how often every number (N,) stood before."""
    grouped = np.argsort(order, kind="stable")
    numbers = order[grouped]
    firsts = np.searchsorted(numbers, numbers)
    turns = np.empty_like(order)
    turns[grouped] = np.arange(len(order)) - firsts
    return turns
