"""Hidden states place by place, for sequences of one length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from bio_xlstm.embedding import embed_batch
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.finetune.views.view import common_length

# numbers of all places together, and of one
_MOST, _MOST_EACH = 1536, 16
# sequences whose hidden states lie in memory at a time
_BLOCK = 256


@dataclass(frozen=True)
class Positions:
    """Project the hidden states of a middle layer at every place on a few random directions."""

    name: ClassVar[str] = "positions"
    words: ClassVar[str] = "embeddings by position"
    by_position: ClassVar[bool] = True

    length: int
    layer: int
    basis: np.ndarray
    """(D, R) float32"""

    @classmethod
    def make(cls, model: SequenceModel, sequences: Sequence[np.ndarray], seed: int = 0) -> Self | None:
        """Draw the directions."""
        length = common_length(sequences)
        if length is None or length > _MOST // 4:
            return None
        width = min(_MOST_EACH, _MOST // length, model.config.dim)
        normal = np.random.default_rng(seed).normal(size=(model.config.dim, width))
        return cls(length, model.layer_count // 2, np.linalg.qr(normal)[0].astype(np.float32))

    def takes(self, ids: np.ndarray) -> bool:
        """Tell whether a sequence has the length of the training sequences."""
        return len(ids) == self.length

    def describe(self, model: SequenceModel, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return (N, L R)."""
        found = np.zeros((len(sequences), self.length * self.basis.shape[1]), np.float32)
        for begin in range(0, len(sequences), _BLOCK):
            some = sequences[begin : begin + _BLOCK]
            vectors = embed_batch(model, some, pools=("none",), layers=(self.layer,), rc="auto")
            for row, one in enumerate(vectors, begin):
                found[row] = (one[self.layer, "none"] @ self.basis).ravel()
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `of` needs."""
        return {"place": np.array([self.length, self.layer]), "basis": self.basis}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Put together what `arrays` took apart."""
        length, layer = arrays["place"].tolist()
        return cls(length, layer, arrays["basis"])
