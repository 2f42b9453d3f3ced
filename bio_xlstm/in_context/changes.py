"""How variants of one sequence differ from each other: kernels of what was changed where, and into what.

A kernel of two variants is the sum, over every changed letter of the one and every changed letter of the other, of how
alike the places are times how alike the changes are. Fifteen such kernels are told apart, by five likenesses of places
and three of changes; a process on their weighed sum is additive, so what it says of any variant is the sum of what it
says of the variant's letters. Kernels of places and substitutions are an old idea for proteins; their latest form is
that of Groth et al. 2024 (Kermut, arXiv 2407.00002), which takes structures for it.
"""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from bio_xlstm.in_context.substitutions import substitutions
from bio_xlstm.in_context.template import common_letters

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# places are alike: where they are the same, close, in one region, anywhere, or held the same letter
PLACES = ("own", "near", "far", "all", "wild")
# changes are alike: as changes, by the letter that comes, by the harm that such a change usually does
CHANGES = ("any", "letter", "harm")
KERNELS = len(PLACES) * len(CHANGES)
# how much each of the kernels is expected to count, beside the others: harm as such was a good guide on every scan
_EXPECTED = torch.ones(len(PLACES), len(CHANGES), dtype=torch.float64)
_EXPECTED[PLACES.index("all"), CHANGES.index("harm")] = 8.0
# letters of distance at which two places are alike by 1/e
_NEAR, _FAR = 2.0, 12.0
# variants whose products are taken at once
_BLOCK = 256
# share of changed places above which numbers are laid out with their zeros
_DENSE = 0.05


class Reference(NamedTuple):
    """Hold the sequence of L letters that variants are told apart by, and which of its places vary."""

    codes: Tensor  # (L,) int64
    varied: Tensor  # (Q,) int64, places at which any of the examples has another letter

    @classmethod
    def of(cls, codes: Tensor, common: Tensor | None = None) -> "Reference":
        """Take a sequence (L,) for examples (N, L); or, at every place, the letter that most of them have there."""
        found = common_letters(codes) if common is None else common
        return cls(found, (codes != found).any(0).nonzero()[:, 0])


class Features(NamedTuple):
    """Hold what N variants are to the kernels: per kind of change, R numbers per place, whose products say how alike.

    R is 1 but for letters. Rows are variant by variant, R each.
    """

    any: "csr_array"  # (N, Q)
    letter: "csr_array"  # (N R, Q)
    harm: "csr_array"  # (N, Q)

    @property
    def size(self) -> int:
        """Return N."""
        size: int = self.any.shape[0]
        return size

    def between(self, some: slice) -> "Features":
        """Take some variants that follow each other."""
        begin, end, _ = some.indices(self.size)
        several = self.letter.shape[0] // max(self.size, 1)
        return Features(
            self.any[begin:end], self.letter[begin * several : end * several], self.harm[begin:end]
        )


class Changes:
    """Compare N variants (N, L) of one kind of sequence, by what of them is not their reference."""

    expected = _EXPECTED.flatten()

    def __init__(self, codes: Tensor, kind: str, common: Tensor | None = None) -> None:
        """Take codes, and the sequence (L,) that they are told apart by where it is known."""
        self.reference, self.known = Reference.of(codes, common), substitutions(kind)
        self.places = torch.stack([self._alike(name) for name in PLACES])  # (5, L, Q)
        self.features = self._features(codes)

    def kernels(self, some: slice) -> Tensor:
        """Return every kernel among some variants: (KERNELS, n, n) float64, places by changes."""
        features, own = self.features.between(some), self.places[:, self.reference.varied]
        size = features.size
        return torch.stack([_product(one, place, one, size, size) for place in own for one in features])

    def kernel(self, some: slice, others: slice, shares: Tensor) -> Tensor:
        """Return the sum (n, m) float64 of the kernels of some variants and others, weighed by shares (KERNELS,)."""
        mixed = self._mixed(shares)[:, self.reference.varied]
        known, asked = self.features.between(some), self.features.between(others)
        products = [
            _product(one, place, other, known.size, asked.size)
            for one, place, other in zip(known, mixed, asked, strict=True)
        ]
        return torch.stack(products).sum(0)

    def effects(self, some: slice, said: Tensor, shares: Tensor) -> Tensor:
        """Return what every letter adds at every place (L, CODES), as some variants say with weights (n,)."""
        features = self.features.between(some)
        changed, letter, harm = (
            place @ _gathered(one, said)  # (L, R)
            for one, place in zip(features, self._mixed(shares), strict=True)
        )
        wild = self.reference.codes
        found = changed + letter @ self.known.root.T + harm * self.known.harm[wild]
        # the reference is where all effects are nothing
        return found.scatter(1, wild[:, None], 0.0)

    def _features(self, codes: Tensor) -> Features:
        """Describe variants (N, L)."""
        from scipy.sparse import csr_array

        size, wild = len(codes), self.reference.codes[self.reference.varied]
        codes = codes[:, self.reference.varied]
        row, place = (codes != wild).nonzero(as_tuple=True)
        letter = codes[row, place]

        def sparse(numbers: Tensor) -> "csr_array":
            """Lay out numbers (changes, R)."""
            several = numbers.shape[1]
            rows = row[:, None] * several + torch.arange(several)
            where = (rows.flatten().numpy(), place.repeat_interleave(several).numpy())
            return csr_array((numbers.flatten().numpy(), where), shape=(size * several, len(wild)))

        harm = self.known.harm[wild[place], letter][:, None]
        return Features(sparse(torch.ones_like(harm)), sparse(self.known.root[letter]), sparse(harm))

    def _mixed(self, shares: Tensor) -> Tensor:
        """Weigh the likenesses of places for every kind of change: (3, L, Q)."""
        return torch.einsum("pc,plq->clq", shares.view(len(PLACES), len(CHANGES)), self.places)

    def _alike(self, name: str) -> Tensor:
        """Say how alike all places are to those that vary (L, Q) float64."""
        codes, varied = self.reference
        apart = (torch.arange(len(codes))[:, None] - varied).abs().double()
        if name == "wild":
            return self.known.alike[codes][:, codes[varied]]
        if name == "all":
            return torch.ones_like(apart)
        if name == "own":
            return (apart == 0).double()
        return torch.exp(-apart / {"near": _NEAR, "far": _FAR}[name])


def _product(one: "csr_array", places: Tensor, other: "csr_array", size: int, other_size: int) -> Tensor:
    """Return the sum (N, M) over R numbers and pairs of places of one (N R, Q) and another (M R, Q)."""
    several, width = one.shape[0] // max(size, 1), places.shape[1]
    dense = one.nnz > _DENSE * one.shape[0] * width
    flat = (one.toarray() if dense else one).reshape((size, several * width))
    if not dense:
        flat = flat.tocsr()
    found = [torch.zeros(size, 0, dtype=torch.float64)]
    for begin in range(0, other_size, _BLOCK):
        end = min(begin + _BLOCK, other_size)
        rows = other[begin * several : end * several]
        spread = (rows.toarray() if dense else rows) @ places.T.numpy()
        found.append(torch.from_numpy(flat @ spread.reshape(end - begin, several * width).T))
    return torch.cat(found, 1)


def _gathered(features: "csr_array", said: Tensor) -> Tensor:
    """Sum the numbers (N R, Q) of variants, weighed: (Q, R) float64."""
    several = features.shape[0] // max(len(said), 1)
    dense = [torch.from_numpy(features[number::several].T @ said.numpy()) for number in range(several)]
    return torch.stack(dense, 1)
