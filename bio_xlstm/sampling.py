"""Draw sequences from a causal model: many at once, each a function of the model, the seed and its number alone."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError

# SplitMix64 (Steele, Lea and Flood 2014), in the signed integers that every device has
_STEP = 0x9E3779B97F4A7C15 - 2**64
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


class Sample(NamedTuple):
    """Hold one drawn sequence."""

    number: int
    ids: np.ndarray  # (T,) int64 without start and stop
    logprob: float  # log p of ids and stop as the model says, whatever the temperature, in nats
    ended: bool  # with the stop token, not at the limit


def draw(
    decoder: Decoder, numbers: Iterable[int], *, seed: int = 0, temperature: float = 1.0, longest: int = 1000
) -> Iterator[Sample]:
    """Draw the sequences with the given numbers, as many at once as the decoder has slots; yield each as it ends.

    A slot takes up the next number as soon as its sequence ends, with the stop token or after `longest` ids. Compiled
    for the CPU, sequence i is the same bit for bit whatever the other numbers and the slots are; elsewhere unless two
    ids are equally likely to within rounding. ConfigError refuses a temperature or a limit that is not positive, and
    a vocabulary that does not frame its sequences.

    >>> import bio_xlstm as bx
    >>> decoder = Decoder(bx.build("chem", dim=32, blocks=1, heads=2), slots=2)
    >>> sorted(sample.number for sample in draw(decoder, range(3), longest=5))
    [0, 1, 2]
    """
    start, refused = _check(decoder, temperature, longest)
    waiting = iter(numbers)
    rows = _Rows(decoder.slots, longest, start)
    while True:
        fresh = rows.take_up(waiting)
        if len(fresh):
            decoder.clear(fresh)
        slots = rows.busy()
        if not len(slots):
            return
        logits = decoder.step(rows.last[slots], slots).double()  # (n, V)
        noise = gumbel(seed, rows.number[slots], rows.length[slots], logits.shape[1], logits.device)
        scores = (logits / temperature + noise).masked_fill(refused, -torch.inf)
        chosen = scores.argmax(1)
        logprob = logits.log_softmax(1).gather(1, chosen[:, None])[:, 0]
        yield from rows.add(slots, chosen.cpu(), logprob.cpu(), decoder.tokenizer.stop)


def gumbel(
    seed: int, numbers: Tensor, places: Tensor, width: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Return Gumbel variates (n, width) float64 that depend on seed, number (n,), place (n,) and column alone.

    The column of the largest log p plus its variate is a draw from p.
    """
    key = mixed(torch.tensor(seed + _STEP, device=device))
    for part in (numbers, places):
        key = mixed(key + (part.to(device) + 1) * _STEP)
    columns = torch.arange(1, width + 1, device=device) * _STEP
    bits = _shifted(mixed(key[:, None] + columns), 12)
    # never 0 nor 1, so that no logarithm is infinite
    return -(-((bits.double() + 0.5) * 2.0**-52).log()).log()


def mixed(keys: Tensor) -> Tensor:
    """Scramble int64 keys, which wrap: the finaliser of SplitMix64."""
    for by, factor in zip((30, 27), _MIX, strict=True):
        keys = (keys ^ _shifted(keys, by)) * factor
    return keys ^ _shifted(keys, 31)


def _shifted(keys: Tensor, by: int) -> Tensor:
    """Shift to the right as unsigned numbers are shifted."""
    return (keys >> by) & ((1 << (64 - by)) - 1)


class _Rows:
    """Hold what is drawn in every slot."""

    def __init__(self, slots: int, longest: int, start: int) -> None:
        self.start = start
        self.number = torch.full((slots,), -1)  # -1: free
        self.length = torch.zeros(slots, dtype=torch.int64)
        self.last = torch.full((slots,), start)  # the id to be read next
        self.logprob = torch.zeros(slots, dtype=torch.float64)
        self.ids = torch.zeros((slots, longest), dtype=torch.int64)

    def take_up(self, waiting: Iterator[int]) -> Tensor:
        """Begin the next numbers in the free slots; return those slots."""
        free = (self.number < 0).nonzero()[:, 0]
        begun = [number for _, number in zip(free, waiting, strict=False)]
        fresh = free[: len(begun)]
        self.number[fresh] = torch.tensor(begun, dtype=torch.int64)
        self.length[fresh], self.last[fresh], self.logprob[fresh] = 0, self.start, 0.0
        return fresh

    def busy(self) -> Tensor:
        """Return the slots that are not free."""
        return (self.number >= 0).nonzero()[:, 0]

    def add(self, slots: Tensor, chosen: Tensor, logprob: Tensor, stop: int | None) -> Iterator[Sample]:
        """Write down the chosen ids; yield what has ended and free its slots."""
        self.logprob[slots] += logprob
        stopped = chosen.eq(-1 if stop is None else stop)
        going = slots[~stopped]
        self.ids[going, self.length[going]] = self.last[going] = chosen[~stopped]
        self.length[going] += 1
        full = self.length[slots] == self.ids.shape[1]
        for slot, ended in zip(slots[stopped | full].tolist(), stopped[stopped | full].tolist(), strict=True):
            ids = self.ids[slot, : self.length[slot]].numpy().copy()
            yield Sample(int(self.number[slot]), ids, float(self.logprob[slot]), ended)
            self.number[slot] = -1


def _check(decoder: Decoder, temperature: float, longest: int) -> tuple[int, Tensor]:
    """Refuse what cannot be drawn; return the start token and the ids (V,) that are never drawn."""
    tokenizer = decoder.tokenizer
    if not temperature > 0:
        raise ConfigError(f"temperature must be positive, not {temperature:g}")
    if longest < 1:
        raise ConfigError(f"a sequence needs room for at least one id, not {longest}")
    if tokenizer.start is None or tokenizer.stop is None:
        raise ConfigError(
            f"the {tokenizer.kind} vocabulary has no start or stop token: nothing can be drawn from it"
        )
    wanted = torch.tensor(np.asarray(tokenizer.targets, bool))
    wanted[tokenizer.stop] = True
    return tokenizer.start, ~wanted.to(decoder.device)
