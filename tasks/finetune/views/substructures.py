"""How many substructures a molecule shares with training molecules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.assay.fingerprint import fingerprints
from bio_xlstm.tasks.assay.similarity import unpacked
from bio_xlstm.tasks.finetune.views.landmarks import pick, root

_BLOCK = 4096


@dataclass(frozen=True)
class Substructures:
    """Compare Morgan bits (radius 2, 2,048) with those of training molecules, by Tanimoto's kernel."""

    name: ClassVar[str] = "substructures"
    words: ClassVar[str] = "Morgan substructures"
    by_position: ClassVar[bool] = False

    prints: np.ndarray
    """(M, bits / 8) uint8 of the landmarks"""
    root: np.ndarray
    """(M, K) float32"""

    @classmethod
    def make(cls, model: SequenceModel, sequences: Sequence[np.ndarray], seed: int = 0) -> Self | None:
        """Choose landmarks."""
        if model.kind != "smiles":
            return None
        texts = [model.tokenizer.decode(sequences[row]) for row in pick(len(sequences), seed).tolist()]
        prints = np.unique(fingerprints(texts, "smiles"), axis=0)
        return cls(prints, root(_tanimoto(prints, prints)))

    def takes(self, ids: np.ndarray) -> bool:
        """Take any molecule; one that cannot be read shares nothing."""
        return True

    def describe(self, model: SequenceModel, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return (N, K)."""
        texts = [model.tokenizer.decode(ids) for ids in sequences]
        blocks = [
            _tanimoto(fingerprints(texts[begin : begin + _BLOCK], "smiles"), self.prints) @ self.root
            for begin in range(0, len(texts), _BLOCK)
        ]
        return np.concatenate([np.zeros((0, self.root.shape[1]), np.float32), *blocks])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `of` needs."""
        return {"prints": self.prints, "root": self.root}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Put together what `arrays` took apart."""
        return cls(arrays["prints"], arrays["root"])


def _tanimoto(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the shared share (N, M) float32 of packed bits."""
    mine, theirs = unpacked(one).astype(np.float32), unpacked(other).astype(np.float32)
    both = mine @ theirs.T
    found: np.ndarray = both / np.maximum(mine.sum(1)[:, None] + theirs.sum(1) - both, 1)
    return found
