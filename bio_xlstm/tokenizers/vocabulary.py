"""The ordered symbols that a model knows; the id of a symbol is its place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from bio_xlstm.errors import ModelError


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """Hold distinct, non-empty symbols in the order of their ids.

    >>> vocabulary = Vocabulary(("A", "C", "G", "T"))
    >>> vocabulary.index["G"], len(vocabulary)
    (2, 4)
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.symbols:
            raise ModelError("a vocabulary needs at least one symbol")
        for symbol in self.symbols:
            if not isinstance(symbol, str) or not symbol:
                raise ModelError(f"a vocabulary holds non-empty text symbols, not {symbol!r}")
        if len(set(self.symbols)) != len(self.symbols):
            raise ModelError(f"the vocabulary holds {_first_repeated(self.symbols)!r} twice")

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Map every symbol to its id."""
        return MappingProxyType({symbol: i for i, symbol in enumerate(self.symbols)})

    def __reduce__(self) -> tuple[type["Vocabulary"], tuple[tuple[str, ...]]]:
        # the mapping proxy cannot be pickled and is cheap to make again
        return Vocabulary, (self.symbols,)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.index

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} symbols)"


def _first_repeated(symbols: Iterable[str]) -> str:
    """Name the first symbol that stands a second time."""
    seen: set[str] = set()
    for symbol in symbols:
        if symbol in seen:
            return symbol
        seen.add(symbol)
    raise AssertionError("no symbol is repeated")
