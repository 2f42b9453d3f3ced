"""Tokenizers of sequences that spend one letter on each token: 256-entry byte tables, at memory speed."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bio_xlstm.errors import SequenceError
from bio_xlstm.tokenizers.alphabet import LINE_FEED, MARK_BYTE, PROBLEM, Alphabet, ByteTables
from bio_xlstm.tokenizers.tokenizer import (
    BYTE_ORDER_MARK,
    Ids,
    Prepared,
    Tokenizer,
    counted,
)


@dataclass(frozen=True, repr=False)
class LetterTokenizer(Tokenizer):
    """Read one letter as one token."""

    alphabet: Alphabet
    noun: ClassVar[str]
    """what a letter is, with its article: "a nucleotide" """
    replaced_noun: ClassVar[str]
    """what a letter is that is read as another one"""

    def __post_init__(self) -> None:
        super().__post_init__()
        # a policy that does not fit the vocabulary is refused at the door, not at the first bad row
        _ = self._tables

    @cached_property
    def _tables(self) -> ByteTables:
        return self.alphabet.tables(self.vocabulary)

    def encode(self, text: str) -> Ids:
        """Give the ids (T,) of a clean sequence.

        Lower case and line feeds are accepted. What `prepare` would replace or remove is refused, so that
        nothing changes unseen: SequenceError names the symbol and its place.

        >>> from bio_xlstm.tokenizers import TOKENIZERS
        >>> TOKENIZERS["dna"]().encode("ACGTN")
        array([ 7,  8,  9, 10, 11], dtype=uint8)
        """
        data = _one_byte_each(text)
        codes = data.translate(self._tables.strict, b"\n")
        if PROBLEM in codes:
            position = data.index(data.translate(None, self._tables.clean)[0])
            symbol = f"{text[position]!r} at position {_ordinal(data, position)}"
            if data[position] not in self._tables.handled:
                raise SequenceError(f"{symbol} is not {self.noun}")
            raise SequenceError(
                f"{symbol} has no token; prepare() removes or replaces such symbols and counts them"
            )
        return np.frombuffer(codes, np.uint8)

    def prepare(self, text: str | bytes) -> Prepared:
        """Give the ids of any text by the alphabet's rules, or the status that explains why there are none.

        >>> from bio_xlstm.tokenizers import TOKENIZERS
        >>> TOKENIZERS["dna"]().prepare("ACR-T").detail
        '1 ambiguous base (R) read as N; 1 gap removed'
        """
        if isinstance(text, str):
            data = _one_byte_each(text)
        elif text.isascii():
            data = bytearray(text)
        else:
            return self._prepare_utf8(text)
        codes = data.translate(self._tables.strict, b"\n")
        if PROBLEM in codes:
            return self._prepare_problem(data, text)
        if not codes:
            return self._refused("empty", "empty sequence")
        return Prepared(np.frombuffer(codes, np.uint8), "ok", "", None)

    def _prepare_problem(self, data: bytearray, text: str | bytes) -> Prepared:
        """Prepare a row that holds anything but clean letters and line feeds."""
        tables, stop = self._tables, self.alphabet.trailing_stop.encode("ascii")
        dropped = bytes(tables.removed) + b"\n"
        problems = data.translate(None, tables.clean)
        if refused := problems.translate(None, tables.handled):
            position = data.index(refused[0])
            detail = f"{_symbol(text, position)!r} at position {_ordinal(data, position)} is not {self.noun}"
            return self._refused("error", detail, position)
        body = data.rstrip(dropped + stop) if stop else data
        if stop and (position := body.find(stop)) >= 0:
            residue = len(data[:position].translate(None, dropped)) + 1
            detail = f"stop {stop.decode()!r} at residue {residue} is not at the end"
            return self._refused("inner_stop", detail, position)
        gone = self._removed(problems)
        codes = body.translate(tables.lenient, dropped)
        if not codes:
            return self._refused("empty", f"no residues left after removing {gone}")
        notes = [*self._replaced(problems), *([f"{gone} removed"] if gone else [])]
        return Prepared(np.frombuffer(codes, np.uint8), "cleaned", "; ".join(notes), None)

    def _replaced(self, problems: bytearray) -> list[str]:
        """Say which letters were read as another one."""
        found: Counter[str] = Counter()
        for byte, letter in self._tables.replaced.items():
            found[letter] += problems.count(byte)
        found = +found
        if not found:
            return []
        names = ", ".join(sorted(found))
        return [f"{counted(found.total(), self.replaced_noun)} ({names}) read as {self.alphabet.replacement}"]

    def _removed(self, problems: bytearray) -> str:
        """Say what was removed: "7 gaps, 2 digits"."""
        found: Counter[str] = Counter()
        for byte, name in self._tables.removed.items():
            found[name] += problems.count(byte)
        if stop := self.alphabet.trailing_stop:
            found["trailing stop"] = problems.count(ord(stop))
        return ", ".join(counted(number, name) for name, number in found.items() if number)

    def decode(self, ids: npt.ArrayLike) -> str:
        """Give the text of ids (T,), the exact inverse of `encode`; start and stop are left out."""
        array = self._checked(ids)
        characters, framing = self._characters
        text = array.astype(np.uint8).tobytes().translate(characters, framing)
        # named specials such as [MASK] spend more than one character
        return super().decode(array) if PROBLEM in text else text.decode("ascii")

    @cached_property
    def _characters(self) -> tuple[bytes, bytes]:
        symbols = self.vocabulary.symbols
        table = [ord(s) if len(s) == 1 and s.isascii() else PROBLEM for s in symbols]
        framing = bytes(i for i in (self.start, self.stop) if i is not None)
        return bytes(table + [PROBLEM] * (256 - len(symbols))), framing

    @classmethod
    def _policy_arguments(cls, data: Any) -> dict[str, Any]:
        return {"alphabet": Alphabet.from_json(data["alphabet"])}

    def _policy_json(self) -> dict[str, Any]:
        return {"alphabet": self.alphabet.to_json()}


def _one_byte_each(text: str) -> bytearray:
    """Give one byte per character; those outside ASCII become bytes that no alphabet knows."""
    if text.isascii():
        return bytearray(text, "ascii")
    marked = text.replace(chr(MARK_BYTE), "?").replace(BYTE_ORDER_MARK, chr(MARK_BYTE))
    return bytearray(marked, "latin-1", "replace")


def _symbol(text: str | bytes, position: int) -> str:
    """Give the character at an offset."""
    return chr(text[position]) if isinstance(text, bytes) else text[position]


def _ordinal(data: bytearray, position: int) -> int:
    """Count positions from 1 as a user does, not counting line feeds."""
    return position + 1 - data.count(LINE_FEED, 0, position)
