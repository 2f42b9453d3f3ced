"""Which letter stands at which place, for sequences of one length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.finetune.views.view import common_length

# columns that are kept, those that vary most
_MOST = 2048


@dataclass(frozen=True)
class Letters:
    """Mark the letters that at least two training sequences have at a place, and not all of them."""

    name: ClassVar[str] = "letters"
    words: ClassVar[str] = "letters by position"
    by_position: ClassVar[bool] = True

    columns: np.ndarray
    """(L, V) int64: the column of a token at a place, -1 where there is none"""

    @classmethod
    def make(cls, model: SequenceModel, sequences: Sequence[np.ndarray], seed: int = 0) -> Self | None:
        """Choose places and letters."""
        length = common_length(sequences)
        if length is None:
            return None
        table = np.stack(sequences).astype(np.int64)  # (N, L)
        counts = np.zeros((length, model.config.vocabulary), np.int64)
        for row in table:
            counts[np.arange(length), row] += 1
        varied = np.where((counts > 1) & (counts < len(table)), counts * (len(table) - counts), 0)
        chosen = np.sort(np.argsort(-varied, axis=None, kind="stable")[: min(_MOST, int((varied > 0).sum()))])
        if not len(chosen):
            return None
        columns = np.full(varied.size, -1, np.int64)
        columns[chosen] = np.arange(len(chosen))
        return cls(columns.reshape(varied.shape))

    def takes(self, ids: np.ndarray) -> bool:
        """Tell whether a sequence has the length of the training sequences."""
        return len(ids) == len(self.columns)

    def describe(self, model: SequenceModel, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return zeros and ones."""
        found = np.zeros((len(sequences), int(self.columns.max()) + 1), np.float32)
        places = np.arange(len(self.columns))
        for row, ids in zip(found, sequences, strict=True):
            own = self.columns[places, ids]
            row[own[own >= 0]] = 1
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `of` needs."""
        return {"columns": self.columns}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Put together what `arrays` took apart."""
        return cls(arrays["columns"])
