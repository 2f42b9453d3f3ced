"""Packed batches: sequences framed by start and stop tokens, end to end; nothing is padded."""

from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.errors import ConfigError

IGNORED = -100


class Framing(NamedTuple):
    """Hold what turns ids into inputs and targets."""

    start: int | None
    stop: int | None
    allowed: np.ndarray  # (V,) bool, which ids may be predicted
    complement: np.ndarray | None = None  # (V,) ids of the other strand

    @classmethod
    def of(cls, tokenizer: Any, *, stops: bool = True) -> "Framing":
        """Read the framing of a tokenizer; without stops a start is put first where there is one."""
        if not stops:
            return cls(tokenizer.start, None, np.array(tokenizer.targets, bool), tokenizer.complement)
        if tokenizer.start is None or tokenizer.stop is None:
            raise ConfigError(
                f"the {tokenizer.kind} vocabulary has no start or stop token: it cannot be trained on"
            )
        allowed = np.array(tokenizer.targets, bool)
        allowed[tokenizer.stop] = True
        return cls(tokenizer.start, tokenizer.stop, allowed, tokenizer.complement)

    def added(self, closes: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how many tokens stand before and after the letters of sequences (S,).

        A sequence that closes is followed by the stop. Where the stop is the start as well, the start of the next
        sequence of the same window stands for it, and only the `last` one of a window has its own.
        """
        heads = np.full(len(closes), self.start is not None, np.int64)
        stops = closes & (last | (self.stop != self.start))
        return heads, (stops if self.stop is not None else np.zeros_like(stops)).astype(np.int64)


class PackedBatch(NamedTuple):
    """Hold one batch, or one part of it, as plain arrays."""

    tokens: np.ndarray  # (1, T) int64 inputs
    targets: np.ndarray  # (1, T) int64, -100 where nothing is to be predicted
    cu_seqlens: np.ndarray  # (N + 1,) int32
    positions: np.ndarray | None  # (1, T) int64, None where they follow from the tokens
    weights: np.ndarray  # (1, T) float32, 0 where nothing is to be predicted
    total: float  # sum of the weights of all parts

    def part(self, number: int, parts: int, empty: int) -> "PackedBatch":
        """Return one of several parts: whole windows in their order, about as many tokens in each.

        A part without windows holds one token `empty` and nothing to predict.
        """
        goals = self.cu_seqlens[-1] * np.arange(1, parts) / parts
        # the window over whose middle a goal lies begins the next part
        middles = (self.cu_seqlens[:-1] + self.cu_seqlens[1:]) / 2
        borders = [0, *np.searchsorted(middles, goals).tolist(), len(middles)]
        ends = self.cu_seqlens[borders[number] : borders[number + 1] + 1]
        if len(ends) < 2:
            return _nothing(empty, self.positions is not None, self.total)
        taken = slice(ends[0], ends[-1])
        positions = None if self.positions is None else self.positions[:, taken]
        tokens, targets, weights = (f[:, taken] for f in (self.tokens, self.targets, self.weights))
        return PackedBatch(tokens, targets, ends - ends[0], positions, weights, self.total)


class Letters(NamedTuple):
    """Hold the ids of S sequences, in W windows, before they are framed."""

    ids: np.ndarray  # (L,) int64
    lengths: np.ndarray  # (S,)
    window: np.ndarray  # (S,) number of the window, 0 to W - 1
    closes: np.ndarray  # (S,) bool, the stop follows
    weights: np.ndarray  # (L,) float32 loss weights
    keys: np.ndarray  # (S,) uint64, what is drawn for a sequence depends on its key alone
    asked: np.ndarray  # (L,) bool, may be predicted
    stops_asked: np.ndarray  # (S,) bool, the stop may be predicted
    positions: np.ndarray | None = None  # (L,) int64

    @property
    def owners(self) -> np.ndarray:
        """Return the number of the sequence of every letter, (L,)."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def places(self) -> np.ndarray:
        """Return the place of every letter in its sequence, (L,)."""
        firsts = np.cumsum(self.lengths) - self.lengths
        return np.arange(len(self.ids)) - np.repeat(firsts, self.lengths)


class Stream(NamedTuple):
    """Hold framed sequences end to end."""

    tokens: np.ndarray  # (F,) int64
    asked: np.ndarray  # (F,) bool, may be predicted
    weights: np.ndarray  # (F,) float32
    positions: np.ndarray | None  # (F,) int64
    borders: np.ndarray  # (W + 1,) where windows begin

    def next_tokens(self) -> PackedBatch:
        """Let every token predict the one after it in its window."""
        inside = np.ones(len(self.tokens), bool)
        inside[self.borders[1:] - 1] = False
        here = np.flatnonzero(inside)
        borders = self.borders - np.arange(len(self.borders))
        return self._batch(here, here + 1, borders)

    def same_tokens(self, inputs: np.ndarray) -> PackedBatch:
        """Let inputs (F,) predict the tokens in whose place they stand."""
        here = np.arange(len(self.tokens))
        return self._batch(here, here, self.borders)._replace(tokens=inputs[None])

    def _batch(self, here: np.ndarray, there: np.ndarray, borders: np.ndarray) -> PackedBatch:
        """Take the tokens at some places as inputs and those at others as targets."""
        asked = self.asked[there]
        weights = np.where(asked, self.weights[there], 0).astype(np.float32)
        return PackedBatch(
            self.tokens[here][None],
            np.where(asked, self.tokens[there], IGNORED)[None],
            borders.astype(np.int32),
            None if self.positions is None else self.positions[here][None],
            weights[None],
            float(weights.sum(dtype=np.float64)),
        )


def frame(letters: Letters, framing: Framing) -> Stream:
    """Put starts and stops around sequences and join those of a window."""
    last = np.append(letters.window[1:] != letters.window[:-1], True)[: len(letters.window)]
    heads, tails = framing.added(letters.closes, last)
    lengths = heads + letters.lengths + tails
    ends = np.cumsum(lengths)
    begins = ends - lengths
    size = int(ends[-1]) if len(ends) else 0
    # letter l of sequence s stands behind all that was added up to there
    places = np.arange(len(letters.ids)) + np.repeat(np.cumsum(heads + tails) - tails, letters.lengths)
    tokens, asked = np.zeros(size, np.int64), np.zeros(size, bool)
    weights = np.ones(size, np.float32)
    tokens[begins[heads > 0]] = -1 if framing.start is None else framing.start
    tokens[ends[tails > 0] - 1] = -1 if framing.stop is None else framing.stop
    tokens[places], asked[places], weights[places] = letters.ids, letters.asked, letters.weights
    asked[ends[tails > 0] - 1] = letters.stops_asked[tails > 0]
    if framing.stop == framing.start and framing.stop is not None:
        # the start of a sequence is the stop of the one before
        asked[ends[~last]] = letters.stops_asked[~last]
    positions = None
    if letters.positions is not None:
        positions = np.zeros(size, np.int64)
        positions[places] = letters.positions
    return Stream(tokens, asked, weights, positions, np.concatenate([[0], ends[last]]))


def _nothing(token: int, positioned: bool, total: float) -> PackedBatch:
    """Return a part of one token that predicts nothing."""
    tokens = np.full((1, 1), token, np.int64)
    positions = np.zeros_like(tokens) if positioned else None
    weights = np.zeros((1, 1), np.float32)
    return PackedBatch(
        tokens, np.full_like(tokens, IGNORED), np.array([0, 1], np.int32), positions, weights, total
    )
