"""Molecules as SMILES: bracket atoms are split, so that a finite vocabulary writes every valid molecule."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.tokenizers import smiles_grammar as grammar
from bio_xlstm.tokenizers.tokenizer import (
    BYTE_ORDER_MARK,
    Ids,
    Prepared,
    Specials,
    Tokenizer,
    counted,
    symbols_of,
)
from bio_xlstm.tokenizers.vocabulary import Vocabulary

_SPECIALS = Specials(start="[BEG]", stop="[END]", mask="[MASK]", unknown="[UNK]")
_VOCABULARY = Vocabulary(tuple(s for s in _SPECIALS if s is not None) + grammar.SYMBOLS)
_BLANKS = " \t\r\n\v\f"
_GRAMMAR = "OpenSMILES"
# a message shows this many characters of what it complains about
_SHOWN = 20

# inside, a token is written as one character: ASCII for itself, or FIRST + id
_FIRST = 128
# atom maps make ever new bracket atoms; memory must not grow with the number of rows
_REMEMBERED_PIECES = 20_000


class _Shorthand(dict[str, str]):
    """Write a piece of SMILES with one character per token; remember the answers."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def __missing__(self, piece: str) -> str:
        """Raise KeyError for a piece that the grammar or the vocabulary does not know."""
        if not piece.startswith("["):
            tokens = [piece]
        elif grammar.BRACKET.fullmatch(piece):
            tokens = grammar.BRACKET_TOKEN.findall(piece)
        else:
            raise KeyError(piece)
        written = "".join(chr(_FIRST + self.vocabulary.index[part]) for part in self._known(tokens))
        if len(self) < _REMEMBERED_PIECES:
            self[piece] = written
        return written

    def _known(self, tokens: list[str]) -> Iterator[str]:
        """Yield tokens; those without an id of their own in their characters, so that no vocabulary needs `@@`."""
        for token in tokens:
            yield from (token,) if token in self.vocabulary else token

    def of_match(self, match: re.Match[str]) -> str:
        """Write what a pattern found."""
        return self[match[0]]


@dataclass(frozen=True, repr=False)
class SmilesTokenizer(Tokenizer):
    r"""Read molecules; the text of every valid SMILES comes back byte for byte.

    >>> tokenizer = SmilesTokenizer()
    >>> [tokenizer.vocabulary.symbols[i] for i in tokenizer.encode("F/C=C\\[13C@@H2+]")]
    ['F', '/', 'C', '=', 'C', '\\', '[', '1', '3', 'C', '@@', 'H', '2', '+', ']']
    """

    vocabulary: Vocabulary = _VOCABULARY
    specials: Specials = _SPECIALS

    kind: ClassVar[str] = "smiles"
    policy_fields: ClassVar[tuple[str, ...]] = ("grammar",)

    def encode(self, text: str) -> Ids:
        """Give the ids (T,) of a SMILES string; SequenceError names a token without id, and its place."""
        ids = self._ids(text)
        if ids is None:
            raise SequenceError(self._unknown(text)[0])
        return ids

    def prepare(self, text: str | bytes) -> Prepared:
        """Give the ids of any text, or the status that explains why there are none.

        Blanks around the molecule do not count. Whether the molecule is chemically valid is not asked here.

        >>> SmilesTokenizer().prepare("C[Xx]O").detail
        "'[Xx]' at position 2 is not a SMILES atom"
        """
        if isinstance(text, bytes):
            return self._prepare_utf8(text)
        if BYTE_ORDER_MARK in text:
            return self._prepare_marked(text)
        smiles = text.strip(_BLANKS)
        ids = self._ids(smiles)
        if ids is None:
            detail, position = self._unknown(smiles)
            position += len(text) - len(text.lstrip(_BLANKS))
            return self._refused("unknown_token", detail, position)
        if not len(ids):
            return self._refused("empty", "empty SMILES")
        return Prepared(ids, "ok", "", None)

    def _prepare_marked(self, text: str) -> Prepared:
        """Prepare a row that holds byte order marks."""
        kept = [i for i, character in enumerate(text) if character != BYTE_ORDER_MARK]
        prepared = self.prepare("".join(text[i] for i in kept))
        if prepared.position is not None:
            return prepared._replace(position=kept[prepared.position])
        removed = counted(len(text) - len(kept), "byte order mark")
        if prepared.status == "empty":
            return prepared._replace(detail=f"no SMILES left after removing {removed}")
        return prepared._replace(status="cleaned", detail=f"{removed} removed")

    def _ids(self, smiles: str) -> Ids | None:
        """Give the ids of a SMILES string, or None when it holds an unknown token."""
        if not smiles.isascii():
            return None
        written = smiles
        if "[" in smiles or "%" in smiles or ">" in smiles or "<" in smiles:
            try:
                written = grammar.RUN.sub(self._shorthand.of_match, smiles)
            except KeyError:
                return None
        for element, character in self._two_letters:
            written = written.replace(element, character)
        if not self._all_known(written):
            return None
        codes = np.frombuffer(written.encode("utf-16-le"), "<u2")
        return self._id_of_code.take(codes)

    def _unknown(self, smiles: str) -> tuple[str, int]:
        """Describe the first token without id, and give its offset."""
        for piece in grammar.PIECE.finditer(smiles):
            token = piece[0]
            if self._ids(token) is None:
                shown = token if len(token) <= _SHOWN else token[:_SHOWN] + "..."
                return f"{shown!r} at position {piece.start() + 1} {_complaint(token)}", piece.start()
        raise AssertionError("every token has an id")

    @cached_property
    def _shorthand(self) -> _Shorthand:
        return _Shorthand(self.vocabulary)

    @cached_property
    def _two_letters(self) -> tuple[tuple[str, str], ...]:
        return tuple((s, self._shorthand[s]) for s in ("Cl", "Br") if s in self.vocabulary)

    @cached_property
    def _all_known(self) -> Callable[[str], object]:
        known = [s for s in grammar.OUTSIDE if len(s) == 1 and s in self.vocabulary]
        written = f"{chr(_FIRST)}-{chr(_FIRST + len(self.vocabulary) - 1)}"
        return re.compile(f"[{re.escape(''.join(known))}{written}]*").fullmatch

    @cached_property
    def _id_of_code(self) -> Ids:
        table = np.zeros(_FIRST + len(self.vocabulary), self.dtype)
        for symbol, i in self.vocabulary.index.items():
            table[_FIRST + i] = i
            if symbol in grammar.OUTSIDE and len(symbol) == 1:
                table[ord(symbol)] = i
        return table

    @cached_property
    def targets(self) -> npt.NDArray[np.bool_]:
        """Mark the ids (V,) that a model may have to predict: every symbol of the grammar, and the end."""
        stop = () if self.specials.stop is None else (self.specials.stop,)
        return symbols_of(self.vocabulary, [s for s in grammar.SYMBOLS if s in self.vocabulary] + list(stop))

    def _policy_json(self) -> dict[str, Any]:
        return {"grammar": _GRAMMAR}

    @classmethod
    def _policy_arguments(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        if data["grammar"] != _GRAMMAR:
            raise ModelError(f"field 'grammar' is {data['grammar']!r}, not {_GRAMMAR!r}")
        return {}


def _complaint(token: str) -> str:
    """Say why a token has no id."""
    if token == "[":
        return "is not closed"
    if token in grammar.OUTSIDE or grammar.BRACKET.fullmatch(token):
        return "is not in the vocabulary of this model"
    return "is not a SMILES atom" if token.startswith("[") else "is not a SMILES token"
