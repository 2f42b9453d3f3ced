"""What is drawn in every slot of a decoder."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from bio_xlstm.sampling.opening import Opening


class Sample(NamedTuple):
    """Hold one drawn sequence."""

    number: int
    ids: np.ndarray  # (T,) int64 without start and stop, the given ones first
    logprob: float  # log p of ids and stop as the model says, whatever the temperature, in nats
    ended: bool  # with the stop token, not at the limit


class Rows:
    """Hold the sequences of S slots, and which of them are free."""

    def __init__(self, slots: int, longest: int) -> None:
        self.number = np.full(slots, -1)  # -1: free
        self.length = np.zeros(slots, np.int64)
        self.last = np.zeros(slots, np.int64)  # the id to be read next
        self.logprob = np.zeros(slots)
        self.ids = np.zeros((slots, longest), np.int64)

    def take_up(
        self, waiting: Iterator[int], opening_of: Callable[[int], Opening]
    ) -> list[tuple[int, Opening]]:
        """Begin the next numbers in the free slots; return those slots and how each begins."""
        taken = []
        for slot, number in zip(np.flatnonzero(self.number < 0).tolist(), waiting, strict=False):
            opening = opening_of(number)
            given = len(opening.ids)
            self.number[slot], self.length[slot], self.last[slot] = number, given, opening.last
            self.ids[slot, :given], self.logprob[slot] = opening.ids, opening.logprob
            taken.append((slot, opening))
        return taken

    def busy(self) -> np.ndarray:
        """Return the slots that are not free."""
        return np.flatnonzero(self.number >= 0)

    def add(self, slots: np.ndarray, chosen: np.ndarray, logprob: np.ndarray, stop: int) -> list[Sample]:
        """Write down the chosen ids; return what has ended and free its slots."""
        self.logprob[slots] += logprob
        stopped = chosen == stop
        going, ids = slots[~stopped], chosen[~stopped]
        self.ids[going, self.length[going]] = self.last[going] = ids
        self.length[going] += 1
        over = stopped | (self.length[slots] == self.ids.shape[1])
        ended = [
            self._sample(slot, by_stop)
            for slot, by_stop in zip(slots[over].tolist(), stopped[over].tolist(), strict=True)
        ]
        self.number[slots[over]] = -1
        return ended

    def _sample(self, slot: int, ended: bool) -> Sample:
        ids = self.ids[slot, : self.length[slot]].copy()
        return Sample(int(self.number[slot]), ids, float(self.logprob[slot]), ended)
