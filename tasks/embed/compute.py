"""Token ids to vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bio_xlstm.embedding import Vectors, embed_batch
from bio_xlstm.tasks.files.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Embedder(Worker[Vectors]):
    """Embed sequences with fixed options."""

    pools: tuple[str, ...]
    layers: tuple[int, ...]
    rc: str

    def run(self, sequences: Sequence[np.ndarray], budget: int) -> list[Vectors]:
        """Embed sequences with at most `budget` tokens at once."""
        return embed_batch(
            self.model,
            list(sequences),
            pools=self.pools,
            layers=self.layers,
            rc=self.rc,
            batch_tokens=budget,
        )
