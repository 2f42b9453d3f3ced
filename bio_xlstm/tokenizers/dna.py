"""DNA and RNA: one token per base, and the complement that ties the strands."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from bio_xlstm.errors import ModelError
from bio_xlstm.tokenizers.alphabet import Alphabet
from bio_xlstm.tokenizers.letters import LetterTokenizer
from bio_xlstm.tokenizers.tokenizer import Ids, Specials, symbols_of
from bio_xlstm.tokenizers.vocabulary import Vocabulary

# the order of the published DNA-xLSTM checkpoints
_VOCABULARY = Vocabulary(
    ("[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]", "A", "C", "G", "T", "N")
)
_ALPHABET = Alphabet(
    # RNA is read as DNA by a DNA vocabulary, and DNA as RNA by an RNA vocabulary
    aliases=(("U", "T"), ("T", "U")),
    replaced="BDHKMRSVWXY",
    replacement="N",
    gaps="-.",
    trailing_stop="",
)


@dataclass(frozen=True, repr=False)
class DnaTokenizer(LetterTokenizer):
    """Read bases.

    >>> tokenizer = DnaTokenizer()
    >>> tokenizer.decode(tokenizer.reverse_complement(tokenizer.encode("AACGN")))
    'NCGTT'
    """

    vocabulary: Vocabulary = _VOCABULARY
    specials: Specials = Specials(start="[BOS]", stop="[SEP]", mask="[MASK]", unknown="[UNK]")
    alphabet: Alphabet = _ALPHABET
    pairs: tuple[tuple[str, str], ...] = (("A", "T"), ("C", "G"))
    """symbols that face each other on the two strands; every other symbol faces itself"""

    kind: ClassVar[str] = "dna"
    noun: ClassVar[str] = "a nucleotide"
    replaced_noun: ClassVar[str] = "ambiguous base"
    policy_fields: ClassVar[tuple[str, ...]] = ("complement", "alphabet")

    def __post_init__(self) -> None:
        super().__post_init__()
        paired = [symbol for pair in self.pairs for symbol in pair]
        for symbol in paired:
            if symbol not in self.vocabulary:
                raise ModelError(f"field 'complement' names {symbol!r}, which is not in the vocabulary")
            if paired.count(symbol) > 1:
                raise ModelError(f"field 'complement' gives {symbol!r} more than one partner")

    @cached_property
    def complement(self) -> Ids:
        """Give the id of every id's complement (V,), a permutation that undoes itself."""
        table = np.arange(len(self.vocabulary), dtype=self.dtype)
        for left, right in self.pairs:
            i, j = self.vocabulary.index[left], self.vocabulary.index[right]
            table[i], table[j] = j, i
        table.flags.writeable = False
        return cast(Ids, table)

    @cached_property
    def targets(self) -> npt.NDArray[np.bool_]:
        """Mark the ids (V,) that a model may have to predict: the bases that have a partner, and the end."""
        stop = () if self.specials.stop is None else (self.specials.stop,)
        return symbols_of(self.vocabulary, [symbol for pair in self.pairs for symbol in pair] + list(stop))

    def _policy_json(self) -> dict[str, Any]:
        both = {**dict(self.pairs), **{right: left for left, right in self.pairs}}
        return {"complement": both, **super()._policy_json()}

    @classmethod
    def _policy_arguments(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        return {"pairs": _read_pairs(data["complement"]), **super()._policy_arguments(data)}


def _read_pairs(complement: object) -> tuple[tuple[str, str], ...]:
    """Read a complement table as pairs, each once, in the order of the table."""
    if not isinstance(complement, Mapping):
        raise ModelError(f"field 'complement' must map symbols to symbols, not {type(complement).__name__}")
    pairs: list[tuple[str, str]] = []
    for left, right in complement.items():
        if not isinstance(right, str) or complement.get(right) != left:
            raise ModelError(f"field 'complement' maps {left!r} to {right!r}, but not back")
        if left != right and (right, left) not in pairs:
            pairs.append((left, right))
    return tuple(pairs)
