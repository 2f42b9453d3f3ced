"""Ratios of the changed letters alone, for models that fill in: what both flanks say of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bio_xlstm.infilling import hide
from bio_xlstm.positions import MASKS
from bio_xlstm.state import ModelState
from bio_xlstm.variants.changes import Change, find_changes
from bio_xlstm.variants.flanks import Tail, last_stop, read_tails, symbol_answers
from bio_xlstm.variants.likelihood import framed_tokens

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel


class _Asked(NamedTuple):
    """Hold where the answer to a variant stands: a tail, and the symbols in it."""

    tail: int
    symbols: np.ndarray  # (A,)


def filling_ratios(
    model: "SequenceModel",
    wild: np.ndarray,
    mutants: Sequence[np.ndarray],
    *,
    state: ModelState | None,
    budget: int,
) -> np.ndarray:
    """Return log p of the changed letters minus that of the wild type's, after both flanks, (N,) float64.

    The letters that differ are hidden behind masks and stand at the end, as in training; so what is read before them
    is the same for all variants of the same place, and single substitutions there share one reading. Where the lengths
    differ, the end of what is filled in counts as well.
    """
    book = _Book(model, wild)
    pairs = [book.ask(find_changes(wild, mutant, len(MASKS)), len(mutant)) for mutant in mutants]
    rows = read_tails(
        model, framed_tokens(model, wild), book.tails, symbol_answers, state=state, budget=budget
    )
    return np.array([_total(rows, mutant) - _total(rows, before) for mutant, before in pairs])


def _total(rows: Sequence[np.ndarray], asked: _Asked | None) -> float:
    """Add up log p of symbols, each in its own row of (A, V)."""
    if asked is None:
        return 0.0
    found = rows[asked.tail][np.arange(len(asked.symbols)), asked.symbols]
    return float(found.sum(dtype=np.float64))


class _Book:
    """Note what has to be read, everything once."""

    def __init__(self, model: "SequenceModel", wild: np.ndarray) -> None:
        self.model, self.wild = model, wild
        self.tails: list[Tail] = []
        self._known: dict[tuple[bytes, bytes, bool], int] = {}

    def ask(self, changes: Sequence[Change], length: int) -> tuple[_Asked | None, _Asked | None]:
        """Note a variant, and the wild type in the same places."""
        if not changes:
            return None, None
        ends = length != len(self.wild)
        old = [change._replace(ids=self.wild[change.begin : change.end]) for change in changes]
        return self._note(changes, ends), self._note(old, ends)

    def _note(self, changes: Sequence[Change], ends: bool) -> _Asked:
        """Note one reading."""
        symbols = np.concatenate([change.ids for change in changes]).astype(np.int64)
        # the last letter is predicted, not read: where it is the only one, all variants share the reading
        read = symbols if ends else symbols[:-1]
        shape = np.array([(*change.key(), len(change.ids)) for change in changes])
        key = (shape.tobytes(), read.tobytes(), ends)
        if key not in self._known:
            self._known[key] = len(self.tails)
            self.tails.append(self._tail(changes, ends))
        stop = self.model.tokenizer.stop
        return _Asked(self._known[key], symbols if stop is None or not ends else np.append(symbols, stop))

    def _tail(self, changes: Sequence[Change], ends: bool) -> Tail:
        """Lay a variant out with its changes hidden, and ask about them."""
        ids, spans = _changed(self.wild, changes)
        hidden = hide(ids, spans, self.model.tokenizer).ids
        framed = framed_tokens(self.model, hidden)
        targets = np.full(len(framed), -1, np.int64)
        at = len(framed)
        for begin, end in reversed(spans):
            # the token before a letter predicts it; in front of the first stands the mask
            targets[at - (end - begin) - 1 : at - 1] = framed[at - (end - begin) : at]
            at -= end - begin + 1
        if ends and self.model.tokenizer.stop is not None:
            targets[-1] = self.model.tokenizer.stop
        framing = len(framed) - len(hidden)
        begin = last_stop(spans[0][0] + framing)
        return Tail(begin, framed[begin:], targets[begin:])


def _changed(wild: np.ndarray, changes: Sequence[Change]) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Put changes into a wild type; return it with the spans that they take up in it."""
    parts: list[np.ndarray] = []
    spans = []
    done = length = 0
    for change in changes:
        kept = wild[done : change.begin]
        length += len(kept)
        spans.append((length, length + len(change.ids)))
        parts += [kept, change.ids.astype(wild.dtype)]
        length, done = spans[-1][1], change.end
    return np.concatenate([*parts, wild[done:]]), spans
