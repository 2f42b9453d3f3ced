"""Bare token ids written as text, for models whose own tokenizer is another program's."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.tokenizers.tokenizer import Ids, Prepared, Specials, Tokenizer
from bio_xlstm.tokenizers.vocabulary import Vocabulary

_NONE = Specials(None, None, None, None)
# a message shows this many characters of what it complains about
_SHOWN = 20
# no id has more digits, and int() refuses texts of thousands
_DIGITS = 18


@dataclass(frozen=True, repr=False)
class IdTokenizer(Tokenizer):
    """Read token ids that stand in a line with blanks between them; id 5 has the symbol `<5>`.

    >>> tokenizer = IdTokenizer.of(50)
    >>> tokenizer.decode(tokenizer.encode("5 17 3"))
    '5 17 3'
    """

    vocabulary: Vocabulary
    specials: Specials = _NONE

    kind: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        super().__post_init__()
        for number, symbol in enumerate(self.vocabulary.symbols):
            if symbol != f"<{number}>":
                raise ModelError(f"field 'vocabulary' calls id {number} {symbol!r}, not '<{number}>'")

    @classmethod
    def of(cls, count: int, *, start: int | None = None, stop: int | None = None) -> Self:
        """Make the tokenizer of so many ids, of which one may begin and one end a sequence."""
        first, last = (None if number is None else f"<{number}>" for number in (start, stop))
        symbols = tuple(f"<{number}>" for number in range(count))
        return cls(Vocabulary(symbols), Specials(start=first, stop=last, mask=None, unknown=None))

    def encode(self, text: str) -> Ids:
        """Give the ids (T,) of a line; SequenceError names what is no id of this vocabulary, and its place."""
        found, problem = self._read(text)
        if problem:
            raise SequenceError(problem[0])
        return found

    def prepare(self, text: str | bytes) -> Prepared:
        """Give the ids of any text, or the status that explains why there are none."""
        if isinstance(text, bytes):
            return self._prepare_utf8(text)
        found, problem = self._read(text)
        if problem:
            return self._refused("unknown_token", *problem)
        if not len(found):
            return self._refused("empty", "no token ids")
        return Prepared(found, "ok", "", None)

    def decode(self, ids: npt.ArrayLike) -> str:
        """Give the line of ids (T,), without a start token at its beginning and a stop token at its end."""
        found = self._checked(ids).tolist()
        if found and found[0] == self.start:
            found = found[1:]
        if found and found[-1] == self.stop:
            found = found[:-1]
        return " ".join(map(str, found))

    def _read(self, text: str) -> tuple[Ids, tuple[str, int] | None]:
        """Give the ids of a line, or what is wrong with it and the offset of the first word that is no id."""
        words, size = text.split(), len(self.vocabulary)
        numbers = [int(word) if _is_number(word) else size for word in words]
        wrong = next((word for word, number in zip(words, numbers, strict=True) if number >= size), None)
        if wrong is None:
            return np.array(numbers, self.dtype), None
        place = _offset(text, words, words.index(wrong))
        shown = wrong if len(wrong) <= _SHOWN else wrong[:_SHOWN] + "..."
        problem = f"{shown!r} at position {place + 1} is not a token id from 0 to {size - 1}"
        return np.empty(0, self.dtype), (problem, place)

    @cached_property
    def targets(self) -> npt.NDArray[np.bool_]:
        """Mark the ids (V,) that a model may have to predict: all but the start."""
        marked = np.ones(len(self.vocabulary), np.bool_)
        if self.start is not None:
            marked[self.start] = self.start == self.stop
        return marked


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _DIGITS


def _offset(text: str, words: list[str], index: int) -> int:
    """Find where a word of a text begins."""
    place = 0
    for word in words[: index + 1]:
        place = text.index(word, place) + len(word)
    return place - len(words[index])
