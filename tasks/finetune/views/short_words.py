"""How often short words of letters stand in a protein or in DNA."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.assay.baselines.features import WordCounts
from bio_xlstm.tasks.finetune.views.landmarks import pick, root

# sequences that are counted together
_BLOCK = 2048


@dataclass(frozen=True)
class ShortWords:
    """Count words of up to six bases or three residues, seen from the span of the counts of training sequences."""

    name: ClassVar[str] = "words"
    words: ClassVar[str] = "short words"
    by_position: ClassVar[bool] = False

    kind: str
    chosen: np.ndarray
    """(W,) int64 which of all words"""
    mapped: np.ndarray
    """(W, K) float32 from words to columns"""

    @classmethod
    def make(cls, model: SequenceModel, sequences: Sequence[np.ndarray], seed: int = 0) -> Self | None:
        """Choose words that two sequences hold, and the span."""
        if model.kind == "smiles":
            return None
        counts = WordCounts(model.kind)
        seen = counts.fit([model.tokenizer.decode(ids) for ids in sequences])
        some = seen[pick(len(sequences), seed)]
        mapped = np.asarray(some.T @ root((some @ some.T).toarray()), np.float32)
        return cls(model.kind, counts.chosen, np.ascontiguousarray(mapped))

    def takes(self, ids: np.ndarray) -> bool:
        """Take any sequence."""
        return True

    def describe(self, model: SequenceModel, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return (N, K)."""
        counts = WordCounts(self.kind, self.chosen)
        texts = [model.tokenizer.decode(ids) for ids in sequences]
        blocks: list[Any] = [
            counts.describe(texts[begin : begin + _BLOCK]) @ self.mapped
            for begin in range(0, len(texts), _BLOCK)
        ]
        return np.concatenate([np.zeros((0, self.mapped.shape[1])), *blocks]).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `of` needs."""
        kind = np.frombuffer(self.kind.encode(), np.uint8).copy()
        return {"kind": kind, "chosen": self.chosen, "mapped": self.mapped}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Put together what `arrays` took apart."""
        return cls(bytes(arrays["kind"]).decode(), arrays["chosen"], arrays["mapped"])
