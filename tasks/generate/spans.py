"""Residues of a protein that are made anew: which ones, and how a model is led to write them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.infilling import InfillTokens, hide
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling.constraint import letters_and_stop
from bio_xlstm.sampling.opening import Opening, read, start_of
from bio_xlstm.state import ModelState
from bio_xlstm.tokenizers.tokenizer import Tokenizer

Span = tuple[int, int]


class Redesign(NamedTuple):
    """Hold a protein and the spans of it that are made anew."""

    ids: np.ndarray  # (T,) the whole protein
    spans: tuple[Span, ...]  # begin and end, from 0, in their order

    def least(self, *, keep_length: bool) -> int:
        """Return the fewest tokens that finish all spans: residues, masks between them, and the stop."""
        return len(self.spans) + (self.hidden if keep_length else 0)

    @property
    def hidden(self) -> int:
        """Return how many residues are made anew."""
        return sum(end - begin for begin, end in self.spans)

    @property
    def longest(self) -> int:
        """Return how many tokens are drawn at most where nothing is said: spans as long as the whole protein."""
        return len(self.ids) + len(self.spans)

    def fill(self, tokenizer: Tokenizer, drawn: np.ndarray) -> np.ndarray:
        """Put what was drawn, spans with masks between them, into the protein; a span that was not reached is empty."""
        masks = InfillTokens.of(tokenizer).masks
        pieces = np.split(drawn, np.flatnonzero(np.isin(drawn, masks)))
        filled = [pieces[0], *(piece[1:] for piece in pieces[1:])]
        parts, done = [], 0
        for number, (begin, end) in enumerate(self.spans):
            parts += [self.ids[done:begin], filled[number] if number < len(filled) else drawn[:0]]
            done = end
        return np.concatenate([*parts, self.ids[done:]]).astype(np.int64)


def parse_spans(texts: Sequence[str], length: int) -> tuple[Span, ...]:
    """Read `20-35`, residues counted from 1, both ends included; ConfigError says what does not fit the protein.

    >>> parse_spans(["20-35", "2-3"], 40)
    ((1, 3), (19, 35))
    """
    spans = []
    for text in ",".join(texts).split(","):
        found = re.fullmatch(r"\s*([0-9]+)\s*-\s*([0-9]+)\s*", text)
        if not found:
            raise ConfigError(f"--infill {text!r} is no span of residues; spans are FIRST-LAST, as in 20-35")
        first, last = int(found[1]), int(found[2])
        if not 1 <= first <= last <= length:
            raise ConfigError(
                f"--infill {text.strip()} is outside the protein, which has residues 1 to {length}"
            )
        spans.append((first - 1, last))
    spans.sort()
    for (_, end), (begin, _) in zip(spans, spans[1:], strict=False):
        if begin < end:
            raise ConfigError(f"--infill: residue {begin + 1} is in two spans")
    return tuple(spans)


def open_redesign(model: SequenceModel, redesign: Redesign, state: ModelState | None) -> Opening:
    """Read a protein with its spans hidden, up to the mask of the first one, which is read next."""
    tokenizer = model.tokenizer
    if model.config.objective != "infill":
        raise ConfigError(
            f"{model.name} was not trained to fill in residues: --infill needs a model that was"
        )
    try:
        hidden = hide(redesign.ids, redesign.spans, tokenizer)
    except SequenceError as error:
        raise ConfigError(f"--infill: {error}") from None
    end = int(np.flatnonzero(hidden.ids == InfillTokens.of(tokenizer).end)[0]) + 1
    tokens = np.concatenate((np.array([start_of(tokenizer)]), hidden.ids[:end]))
    places = np.concatenate(([0], hidden.positions[:end]))
    after, _ = read(model, tokens, state, positions=places if model.config.positioned else None)
    return Opening(int(hidden.ids[end]), after)


class SpanConstraint:
    """Let a model write the residues of one span after the other; the last one ends with the stop.

    With `keep_length` every span has as many residues as it had.
    """

    def __init__(self, tokenizer: Tokenizer, spans: Sequence[Span], slots: int, *, keep_length: bool) -> None:
        self._spans, self._keep = spans, keep_length
        masks = InfillTokens.of(tokenizer).masks
        stop = tokenizer.stop
        assert stop is not None
        self._letters = letters_and_stop(tokenizer)
        self._letters[stop] = False
        # what ends each span
        self._ends = [int(mask) for mask in masks[1 : len(spans)]] + [stop]
        self._span = np.zeros(slots, np.int64)
        self._written = np.zeros(slots, np.int64)
        self._place = np.zeros(slots, np.int64)

    def begin(self, slot: int, number: int, ids: np.ndarray) -> None:
        """Begin with the first span, whose mask is read first."""
        self._span[slot] = self._written[slot] = 0
        self._place[slot] = self._spans[0][0] + 1

    def allowed(self, slots: np.ndarray) -> np.ndarray:
        """Mark residues, and what ends the span (n, V)."""
        marked = np.repeat(self._letters[None], len(slots), 0)
        for row, (span, written) in enumerate(zip(self._span[slots], self._written[slots], strict=True)):
            begin, end = self._spans[span]
            full = written >= end - begin
            if self._keep and full:
                marked[row] = False
            marked[row, self._ends[span]] = full or not self._keep
        return marked

    def add(self, slots: np.ndarray, ids: np.ndarray) -> None:
        """Count residues, and go on to the next span where a mask was drawn."""
        for slot, drawn in zip(slots.tolist(), ids.tolist(), strict=True):
            span = int(self._span[slot])
            if drawn == self._ends[span] and span + 1 < len(self._spans):
                self._span[slot], self._written[slot] = span + 1, 0
                # a mask stands where the first residue that it hides stands
                self._place[slot] = self._spans[span + 1][0] + 1
            else:
                self._place[slot] = self._spans[span][0] + 1 + self._written[slot]
                self._written[slot] += 1

    def places(self, slots: np.ndarray) -> list[int]:
        """Return where the tokens to be read next stand."""
        return [int(place) for place in self._place[slots]]
