"""How the letters of a file become the letters of a model: what is read as what, and what is removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, NamedTuple

from bio_xlstm.errors import ModelError
from bio_xlstm.tokenizers.vocabulary import Vocabulary

# a byte of `ByteTables.strict` that is no id: the row needs the slow path
PROBLEM = 255
# stands for a byte order mark in text that holds one byte per character
MARK_BYTE = 0x80
LINE_FEED = ord("\n")

# what files carry besides residues, and how a user calls it; gaps are named by the alphabet
_CLUTTER: dict[int, str] = {
    **{ord(digit): "digit" for digit in "0123456789"},
    **{ord(blank): "blank" for blank in " \v\f"},
    ord("\t"): "tab",
    ord("\r"): "carriage return",
    MARK_BYTE: "byte order mark",
}


class ByteTables(NamedTuple):
    """An alphabet over a vocabulary, as tables over the 256 bytes."""

    strict: bytes
    """id of every byte that needs no comment, PROBLEM for all others"""
    lenient: bytes
    """ids as in `strict`, and also for the letters that are read as another one"""
    replaced: Mapping[int, str]
    """bytes of letters read as another one, and the upper-case letter"""
    removed: Mapping[int, str]
    """bytes that are dropped and counted, and how they are called"""
    clean: bytes
    """all bytes that need no comment, the line feed among them"""
    handled: bytes
    """all bytes that a sequence may hold somewhere; any other makes it an error"""


@dataclass(frozen=True)
class Alphabet:
    """State the reading rules of `tokenizer.json`; a letter with a token of its own needs no rule."""

    aliases: tuple[tuple[str, str], ...]
    """letters that mean the same as another one and are read as it without comment: (("U", "T"),)"""
    replaced: str
    """letters that are read as `replacement` and counted, when they have no token"""
    replacement: str
    gaps: str
    """symbols that are removed and counted"""
    trailing_stop: str
    """a symbol that is removed at the end and forbidden inside, or nothing"""

    def tables(self, vocabulary: Vocabulary) -> ByteTables:
        """Lay the rules out over a vocabulary."""
        if len(vocabulary) > PROBLEM:
            raise ModelError(f"field 'vocabulary' holds {len(vocabulary)} symbols, more than {PROBLEM}")
        if self.replaced and self.replacement not in vocabulary:
            raise ModelError(f"field 'alphabet': replacement {self.replacement!r} is not in the vocabulary")
        ids = {letter: vocabulary.index[letter] for letter in letters(vocabulary)}
        silent = ids | {a: ids[b] for a, b in self.aliases if b in ids and a not in ids}
        replaced = [letter for letter in self.replaced if letter not in silent]
        strict, lenient = bytearray([PROBLEM] * 256), bytearray([PROBLEM] * 256)
        for letter, code in silent.items():
            for byte in _both_cases(letter):
                strict[byte] = lenient[byte] = code
        for letter in replaced:
            for byte in _both_cases(letter):
                lenient[byte] = vocabulary.index[self.replacement]
        removed = {ord(gap): "gap" for gap in self.gaps} | _CLUTTER
        others = {LINE_FEED, *removed, *map(ord, self.trailing_stop)}
        return ByteTables(
            strict=bytes(strict),
            lenient=bytes(lenient),
            replaced={byte: letter for letter in replaced for byte in _both_cases(letter)},
            removed=removed,
            clean=bytes(byte for byte in range(256) if strict[byte] != PROBLEM or byte == LINE_FEED),
            handled=bytes(byte for byte in range(256) if lenient[byte] != PROBLEM or byte in others),
        )

    def to_json(self) -> dict[str, Any]:
        """Describe the rules as plain data."""
        return {
            "aliases": dict(self.aliases),
            "replaced": self.replaced,
            "replacement": self.replacement,
            "gaps": self.gaps,
            "trailing_stop": self.trailing_stop,
        }

    @classmethod
    def from_json(cls, data: object) -> "Alphabet":
        """Make the alphabet that `to_json` described; raise ModelError naming a missing or wrong field."""
        names = ("aliases", "replaced", "replacement", "gaps", "trailing_stop")
        if not isinstance(data, Mapping) or set(data) != set(names):
            raise ModelError(f"field 'alphabet' must hold exactly {', '.join(names)}")
        aliases = data["aliases"]
        if not isinstance(aliases, Mapping) or not all(map(_is_letter, (*aliases, *aliases.values()))):
            raise ModelError(f"field 'alphabet': aliases must map letters to letters, not {aliases!r}")
        for name in names[1:]:
            if not isinstance(data[name], str) or not data[name].isascii():
                raise ModelError(f"field 'alphabet': {name} must be plain text, not {data[name]!r}")
        if not all(map(_is_letter, data["replaced"])):
            raise ModelError(
                f"field 'alphabet': replaced must hold capital letters, not {data['replaced']!r}"
            )
        if len(data["trailing_stop"]) > 1:
            raise ModelError(f"field 'alphabet': trailing_stop is one symbol, not {data['trailing_stop']!r}")
        return cls(tuple(aliases.items()), *(data[name] for name in names[1:]))


def letters(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Give the symbols that are residues or bases: one upper-case letter each."""
    return tuple(filter(_is_letter, vocabulary.symbols))


def _is_letter(symbol: object) -> bool:
    return isinstance(symbol, str) and len(symbol) == 1 and symbol in ascii_uppercase


def _both_cases(letter: str) -> bytes:
    return (letter + letter.lower()).encode("ascii")
