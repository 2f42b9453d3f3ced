"""Which sequences of one length are variants of each other, and on which strand: what letters by place can speak of."""

from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.in_context.letters import COMPLEMENT
from bio_xlstm.in_context.substitutions import CODES, codes_of

# times the changes that examples usually have, and share of the letters, beyond which a sequence is no variant
_TIMES, _SHARE = 4, 0.5
# examples that are tried as seeds of a strand, and those that they are tried on
_SEEDS, _TRIED = 8, 128
_OPPOSITE = torch.arange(CODES)
for _one, _other in COMPLEMENT.items():
    _OPPOSITE[codes_of(torch.tensor(ord(_one)))] = codes_of(torch.tensor(ord(_other)))


class Template(NamedTuple):
    """Hold the sequence of L letters that variants are told apart by, and by how many letters they may differ."""

    codes: Tensor  # (L,) int64
    most: int

    @classmethod
    def of(cls, codes: Tensor, kind: str, seed: Tensor | None = None) -> "Template":
        """Take at every place the letter that most of the examples (N, L) have there, all on the strand of `seed` (L,).

        Without one, that example of the first some is the seed which leaves them the fewest letters to differ in.
        """
        if kind == "dna":
            some, seeds = codes[:_TRIED], codes[:_SEEDS] if seed is None else seed[None]
            found = min(
                (_common(some, one, kind) for one in seeds),
                key=lambda one: int(_changes(some, one, kind).sum()),
            )
            codes = on_one_strand(codes, found, kind)
        found = common_letters(codes)
        changes = _changes(codes, found, kind)
        usual = float(changes[changes > 0].median()) if changes.any() else 0.0
        return cls(found, int(max(_TIMES * usual, _SHARE * codes.shape[1])))

    def compare(self, codes: Tensor, kind: str) -> tuple[Tensor, Tensor]:
        """Return sequences (M, L) on the strand of this one, and which of them (M,) are variants of it."""
        turned = on_one_strand(codes, self.codes, kind)
        return turned, (turned != self.codes).sum(1) <= self.most


def _changes(codes: Tensor, other: Tensor, kind: str) -> Tensor:
    """Return by how many letters sequences (N, L) differ from another (L,) on its strand: (N,)."""
    return (on_one_strand(codes, other, kind) != other).sum(1)


def _common(codes: Tensor, seed: Tensor, kind: str) -> Tensor:
    """Return the most common letters (L,) of sequences (N, L) on the strand of a seed (L,)."""
    return common_letters(on_one_strand(codes, seed, kind))


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
