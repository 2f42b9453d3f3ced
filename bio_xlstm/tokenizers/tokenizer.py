"""What every tokenizer is: a vocabulary, its special symbols, and text to ids and back."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.tokenizers.vocabulary import Vocabulary

FORMAT = 1
BYTE_ORDER_MARK = "\ufeff"

Ids: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]


class Prepared(NamedTuple):
    """A row's ids, or why it has none."""

    ids: Ids
    """1-D ids without framing; empty unless the status is ok or cleaned"""
    status: str
    """ok, cleaned, empty, unknown_token, inner_stop or error"""
    detail: str
    """one line in the user's words; empty when the status is ok"""
    position: int | None
    """offset into the given text of the first offending symbol"""


class Specials(NamedTuple):
    """The symbols that frame, hide or replace others; None where a vocabulary has no such symbol."""

    start: str | None
    stop: str | None
    mask: str | None
    unknown: str | None


@dataclass(frozen=True, repr=False)
class Tokenizer(ABC):
    """Turn the text of a sequence into ids and back.

    Tokenizers are values: equal when they read alike, hashable, immutable. A model input is
    `[start] + ids`, its targets are `ids + [stop]`; `encode` and `prepare` give the bare ids.
    """

    vocabulary: Vocabulary
    specials: Specials
    kind: ClassVar[str]
    policy_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for role, symbol in self.specials._asdict().items():
            if symbol is not None and symbol not in self.vocabulary:
                raise ModelError(f"field {role!r} names {symbol!r}, which is not in the vocabulary")

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """Give the ids (T,) of a clean sequence; raise SequenceError at the first symbol without a token."""

    @abstractmethod
    def prepare(self, text: str | bytes) -> Prepared:
        """Give the ids of any text, or the status that says why there are none; never raise for bad text."""

    def _prepare_utf8(self, data: bytes) -> Prepared:
        """Prepare the bytes of a text, and give the position in bytes as well."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            detail = f"byte 0x{data[error.start]:02X} at position {error.start + 1} is not UTF-8 text"
            return self._refused("error", detail, error.start)
        prepared = self.prepare(text)
        if prepared.position is None:
            return prepared
        return prepared._replace(position=len(text[: prepared.position].encode("utf-8")))

    def _refused(self, status: str, detail: str, position: int | None = None) -> Prepared:
        """Explain why a row has no ids."""
        return Prepared(np.empty(0, self.dtype), status, detail, position)

    @property
    @abstractmethod
    def targets(self) -> npt.NDArray[np.bool_]:
        """Mark the ids (V,) that a model may have to predict."""

    @property
    def complement(self) -> Ids | None:
        """Give the id of every id's complement (V,), or None where strands have no meaning."""
        return None

    def reverse_complement(self, ids: npt.NDArray[np.integer[Any]]) -> Ids:
        """Give the ids (T,) of the other strand, read in its own direction."""
        if self.complement is None:
            raise SequenceError(f"a {self.kind} sequence has no reverse complement")
        return self.complement.take(ids[::-1])

    @cached_property
    def start(self) -> int | None:
        """Give the id that begins a model input."""
        return self._special(self.specials.start)

    @cached_property
    def stop(self) -> int | None:
        """Give the id that ends a sequence."""
        return self._special(self.specials.stop)

    @cached_property
    def mask(self) -> int | None:
        """Give the id that hides another."""
        return self._special(self.specials.mask)

    @cached_property
    def unknown(self) -> int | None:
        """Give the id that stands for what has no token; this library never produces it."""
        return self._special(self.specials.unknown)

    def _special(self, symbol: str | None) -> int | None:
        return None if symbol is None else self.vocabulary.index[symbol]

    @cached_property
    def dtype(self) -> type[np.uint8] | type[np.uint16] | type[np.uint32]:
        """Give the smallest unsigned type that holds every id."""
        count = len(self.vocabulary)
        return np.uint8 if count <= 1 << 8 else np.uint16 if count <= 1 << 16 else np.uint32

    def decode(self, ids: npt.ArrayLike) -> str:
        """Give the text of ids (T,), the exact inverse of `encode`; start and stop are left out.

        Other special symbols appear under their own names. An id outside the vocabulary raises SequenceError.
        """
        texts = self._texts
        return "".join([texts[i] for i in self._checked(ids).tolist()])

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return tuple("" if s in self.specials[:2] else s for s in self.vocabulary.symbols)

    def _checked(self, ids: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
        """Refuse what is not a row of this vocabulary's ids."""
        array = np.asarray(ids)
        if not array.size:
            return np.empty(0, self.dtype)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise SequenceError(f"ids to decode are one row of integers, not {array.dtype} {array.shape}")
        for extreme in (int(array.min()), int(array.max())):
            if not 0 <= extreme < len(self.vocabulary):
                raise SequenceError(f"id {extreme} is not between 0 and {len(self.vocabulary) - 1}")
        return array

    def to_json(self) -> dict[str, Any]:
        """Describe this tokenizer as plain data, the content of `tokenizer.json`."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "vocabulary": list(self.vocabulary.symbols),
            **self.specials._asdict(),
            **self._policy_json(),
        }

    def _policy_json(self) -> dict[str, Any]:
        """Describe what a kind adds to vocabulary and specials, under the names in `policy_fields`."""
        return {}

    @classmethod
    def _policy_arguments(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Read what `_policy_json` wrote as constructor arguments."""
        return {}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Make the tokenizer that `to_json` described; raise ModelError naming a missing or wrong field."""
        known = ("format", "kind", "vocabulary", *Specials._fields, *cls.policy_fields)
        for name in known:
            if name not in data:
                raise ModelError(f"field {name!r} is missing")
        for name in data:
            if name not in known:
                raise ModelError(f"field {name!r} is not known to a {cls.kind} tokenizer")
        if data["format"] != FORMAT:
            raise ModelError(f"field 'format' is {data['format']!r}; this version reads format {FORMAT}")
        if data["kind"] != cls.kind:
            raise ModelError(f"field 'kind' is {data['kind']!r}, not {cls.kind!r}")
        return cls(
            vocabulary=_read_vocabulary(data["vocabulary"]),
            specials=Specials(*(_read_special(data[name], name) for name in Specials._fields)),
            **cls._policy_arguments(data),
        )

    def save(self, path: str | Path) -> None:
        """Write `tokenizer.json`."""
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        # tables are cheap to make again, and some of them hold what cannot be pickled
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.vocabulary)} symbols)"


def _read_vocabulary(value: object) -> Vocabulary:
    if not isinstance(value, list):
        raise ModelError(f"field 'vocabulary' must be a list of symbols, not {type(value).__name__}")
    try:
        return Vocabulary(tuple(value))
    except ModelError as error:
        raise ModelError(f"field 'vocabulary': {error}") from None


def _read_special(value: object, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ModelError(f"field {name!r} must be a symbol or null, not {value!r}")
    return value


def counted(number: int, noun: str) -> str:
    """Write a count and its noun: "1 gap", "1,700 gaps"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def symbols_of(vocabulary: Vocabulary, symbols: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Mark the ids (V,) of the given symbols."""
    marked = np.zeros(len(vocabulary), np.bool_)
    marked[[vocabulary.index[symbol] for symbol in symbols]] = True
    return marked
