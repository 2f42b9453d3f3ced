"""Which sequences of one length are variants of each other, and on which strand: what letters by place can speak of."""

from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.in_context.letters import COMPLEMENT
from bio_xlstm.in_context.substitutions import CODES, codes_of

# times the changes that examples usually have, and share of the letters, beyond which a sequence is no variant
_TIMES, _SHARE = 4, 0.5
_OPPOSITE = torch.arange(CODES)
for _one, _other in COMPLEMENT.items():
    _OPPOSITE[codes_of(torch.tensor(ord(_one)))] = codes_of(torch.tensor(ord(_other)))


class Template(NamedTuple):
    """Hold the sequence of L letters that variants are told apart by, and by how many letters they may differ."""

    codes: Tensor  # (L,) int64
    most: int

    @classmethod
    def of(cls, codes: Tensor, kind: str) -> "Template":
        """Take at every place the letter that most of the examples (N, L) have there, all on one strand."""
        found = codes[0]
        for _ in range(2 if kind == "dna" else 1):
            found = common_letters(on_one_strand(codes, found, kind))
        changes = (on_one_strand(codes, found, kind) != found).sum(1)
        usual = float(changes[changes > 0].median()) if changes.any() else 0.0
        return cls(found, int(max(_TIMES * usual, _SHARE * codes.shape[1])))

    def compare(self, codes: Tensor, kind: str) -> tuple[Tensor, Tensor]:
        """Return sequences (M, L) on the strand of this one, and which of them (M,) are variants of it."""
        turned = on_one_strand(codes, self.codes, kind)
        return turned, (turned != self.codes).sum(1) <= self.most


def common_letters(codes: Tensor) -> Tensor:
    """Return the letter that most sequences (N, L) have at every place: (L,)."""
    return torch.stack([(codes == letter).sum(0) for letter in range(CODES)]).argmax(0)


def on_one_strand(codes: Tensor, other: Tensor, kind: str) -> Tensor:
    """Return sequences (M, L), those of DNA turned that are clearly on the other strand than `other` (L,).

    That is where their reverse complement differs from it in less than half as many letters.
    """
    if kind != "dna":
        return codes
    turned = _OPPOSITE[codes].flip(1)
    clearly = 2 * (turned != other).sum(1) < (codes != other).sum(1)
    return torch.where(clearly[:, None], turned, codes)
