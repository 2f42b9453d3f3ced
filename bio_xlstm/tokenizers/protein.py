"""Proteins: one token per residue, the rare ones and the unknown one among them."""

from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bio_xlstm.tokenizers.alphabet import Alphabet, letters
from bio_xlstm.tokenizers.letters import LetterTokenizer
from bio_xlstm.tokenizers.tokenizer import Specials, symbols_of
from bio_xlstm.tokenizers.vocabulary import Vocabulary

# the order of the published Prot-xLSTM checkpoints
_VOCABULARY = Vocabulary(
    (
        *("<cls>", "<pad>", "<eos>", "<unk>"),
        *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
        *("<null_1>", "<mask>", "<mask-1>", "<mask-2>", "<mask-3>", "<mask-4>", "<mask-5>"),
    )
)
# aspartate or asparagine, leucine or isoleucine, any residue, glutamate or glutamine
_SEVERAL = "BJXZ"
# any letter that a vocabulary has no token for is an unknown residue
_ALPHABET = Alphabet(aliases=(), replaced=ascii_uppercase, replacement="X", gaps="-.", trailing_stop="*")


@dataclass(frozen=True, repr=False)
class ProteinTokenizer(LetterTokenizer):
    """Read residues.

    >>> ProteinTokenizer().prepare("MKJ*").detail
    '1 rare residue (J) read as X; 1 trailing stop removed'
    """

    vocabulary: Vocabulary = _VOCABULARY
    # the next protein's start ends this one
    specials: Specials = Specials(start="<cls>", stop="<cls>", mask="<mask>", unknown="<unk>")
    alphabet: Alphabet = _ALPHABET

    kind: ClassVar[str] = "protein"
    noun: ClassVar[str] = "an amino acid"
    replaced_noun: ClassVar[str] = "rare residue"
    policy_fields: ClassVar[tuple[str, ...]] = ("alphabet",)

    @cached_property
    def targets(self) -> npt.NDArray[np.bool_]:
        """Mark the ids (V,) that a model may have to predict: every residue, and the end.

        What stands for several residues is read, but is none: of N in DNA the same is true.
        """
        stop = () if self.specials.stop is None else (self.specials.stop,)
        residues = [letter for letter in letters(self.vocabulary) if letter not in _SEVERAL]
        return symbols_of(self.vocabulary, [*residues, *stop])
