"""Points of sequences: the language model's embedding, the letters, and a sketch of the words, side by side."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from bio_xlstm.in_context.letters import LETTERS
from bio_xlstm.in_context.sketch import WORDS


@dataclass(frozen=True)
class SequencePoints:
    """Hold points of any arrangement (...); indexing takes some of them, as of a tensor.

    As rows of bytes (`packed`, `of`) they can be kept, sent and cut as any array.
    """

    embeddings: Tensor  # (..., E) float32
    letters: Tensor  # (..., LETTERS) uint8, ASCII, 0 behind the last; all 0 for longer sequences
    words: Tensor  # (..., WORDS) int16
    lengths: Tensor  # (...) int64, letters of the sequence

    def __getitem__(self, which: Any) -> Self:
        """Take some of them; `which` leaves the last dimension of the numbers alone."""
        return type(self)(self.embeddings[which], self.letters[which], self.words[which], self.lengths[which])

    @property
    def views(self) -> tuple[Tensor, Tensor]:
        """Return all numbers, a tensor (..., F) per view: embeddings in float64, words in float32."""
        return self.embeddings.double(), self.words.float()

    def packed(self) -> Tensor:
        """Return rows of bytes (..., W)."""
        parts = (self.embeddings.float(), self.letters, self.words, self.lengths[..., None])
        return torch.cat([part.detach().cpu().contiguous().view(torch.uint8) for part in parts], -1)

    @classmethod
    def of(cls, rows: Tensor, embedding: int) -> Self:
        """Read rows of bytes (..., W) that `packed` made of E = `embedding` numbers each."""
        sizes = (4 * embedding, LETTERS, 2 * WORDS, 8)
        # fresh memory: numbers must lie where numbers may
        embeddings, letters, words, lengths = (part.clone() for part in rows.split(sizes, -1))
        return cls(
            embeddings.view(torch.float32),
            letters,
            words.view(torch.int16),
            lengths.view(torch.int64)[..., 0],
        )


def width(embedding: int) -> int:
    """Return W, the bytes of a point whose embedding has so many numbers."""
    return 4 * embedding + LETTERS + 2 * WORDS + 8
