"""Keep a model from writing what cannot become a SMILES, or not within the length that is left."""

import copy
from collections.abc import Hashable

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.sampling.smiles_writer import Writer
from bio_xlstm.tokenizers import smiles_grammar as grammar
from bio_xlstm.tokenizers.tokenizer import Tokenizer

# tokens that one more symbol adds at most to what is missing: a ring needs two more atoms and its number
MOST_ADDED = 3


class SmilesConstraint:
    """Allow the tokens after which a SMILES can still be ended before the limit.

    Whether atoms have too many bonds is not asked: chemistry decides about that, not grammar.
    """

    def __init__(self, tokenizer: Tokenizer, slots: int, longest: int) -> None:
        index = tokenizer.vocabulary.index
        self._symbols = tokenizer.vocabulary.symbols
        stop = tokenizer.stop
        assert stop is not None
        self._width, self._stop, self._longest = len(self._symbols), stop, longest
        outside = (*grammar.ORGANIC, "*", "-", "=", "#", "/", "\\", ":", "(", ")", ".", "[", *grammar.DIGITS)
        inside = (*grammar.ATOMS, *grammar.DIGITS, "@", "@@", "+", "-", "]")
        self._outside = [symbol for symbol in (*outside, *grammar.RING_NUMBERS) if symbol in index]
        self._inside = [symbol for symbol in dict.fromkeys(inside) if symbol in index]
        self._index = index
        self._writers = [Writer() for _ in range(slots)]
        self._length = np.zeros(slots, np.int64)
        self._known: dict[Hashable, np.ndarray] = {}

    def begin(self, slot: int, number: int, ids: np.ndarray) -> None:
        """Follow what is given; ConfigError where it is no beginning of a SMILES."""
        writer = self._writers[slot] = Writer()
        for place, token in enumerate(ids.tolist()):
            symbol = self._symbols[token]
            if not writer.may_follow(symbol):
                raise ConfigError(
                    f"--constrain: {symbol!r}, token {place + 1} of what is given, cannot stand there"
                )
            writer.add(symbol)
        self._length[slot] = len(ids)
        if writer.needed() > self._longest - 1 - len(ids):
            raise ConfigError(
                f"--constrain: what is given cannot be made whole within {self._longest} tokens (--max-length)"
            )

    def allowed(self, slots: np.ndarray) -> np.ndarray:
        """Mark the ids (n, V) that may follow."""
        return np.stack([self._of(self._writers[slot], self._left(slot)) for slot in slots.tolist()])

    def add(self, slots: np.ndarray, ids: np.ndarray) -> None:
        """Follow what was drawn."""
        for slot, token in zip(slots.tolist(), ids.tolist(), strict=True):
            if token != self._stop:
                self._writers[slot].add(self._symbols[token])
                self._length[slot] += 1

    def places(self, slots: np.ndarray) -> None:
        """Leave it to the tokens."""

    def _left(self, slot: int) -> int:
        # with its last id a sequence is at the limit, and no stop is drawn
        return self._longest - 1 - int(self._length[slot])

    def _of(self, writer: Writer, left: int) -> np.ndarray:
        """Mark the ids (V,) that may follow one SMILES."""
        tight = writer.needed() + MOST_ADDED >= left
        key = _key(writer)
        if not tight and key in self._known:
            return self._known[key]
        marked = np.zeros(self._width, bool)
        for symbol in self._inside if writer.bracket is not None else self._outside:
            if writer.may_follow(symbol) and (not tight or _needed_after(writer, symbol) <= left - 1):
                marked[self._index[symbol]] = True
        marked[self._stop] = writer.whole
        if not tight:
            self._known[key] = marked
        return marked


def _key(writer: Writer) -> Hashable:
    """Return all that decides what may follow, besides the length that is left."""
    closable = frozenset((number, writer.closable(number)) for number in writer.rings)
    ending = bool(writer.branches), writer.whole, writer.direct
    return writer.last, writer.bracket, writer.isotope, closable, ending


def _needed_after(writer: Writer, symbol: str) -> int:
    """Return how many tokens a SMILES needs when one more is written."""
    ahead = copy.copy(writer)
    # what a token changes in place
    ahead.branches, ahead.rings = list(writer.branches), dict(writer.rings)
    ahead.neighbours = {atom: set(others) for atom, others in writer.neighbours.items()}
    ahead.add(symbol)
    return ahead.needed()
