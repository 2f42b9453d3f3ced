"""All molecules of an evaluation, each described once: fingerprints, embeddings, points of the learner."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bio_xlstm.tasks.assay.fingerprint import BITS, fingerprints

if TYPE_CHECKING:
    from bio_xlstm.in_context.model import InContextModel
    from bio_xlstm.models.model import SequenceModel

# described at a time
BLOCK = 2048
Compute = Callable[[np.ndarray], np.ndarray]


class Described:
    """Hold one kind of description of R molecules (R, F), worked out when it is asked for."""

    def __init__(self, count: int, compute: Compute) -> None:
        self._compute = compute
        self._known = np.zeros(count, bool)
        self._values: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the descriptions (N, F) of some molecules."""
        missing = np.unique(rows[~self._known[rows]])
        for begin in range(0, len(missing), BLOCK):
            block = missing[begin : begin + BLOCK]
            self.put(block, self._compute(block))
        assert self._values is not None
        taken: np.ndarray = self._values[rows]
        return taken

    def put(self, rows: np.ndarray, found: np.ndarray) -> None:
        """Keep the descriptions (N, F) of some molecules."""
        if self._values is None:
            self._values = np.zeros((len(self._known), found.shape[1]), found.dtype)
        self._values[rows] = found
        self._known[rows] = True


class Library:
    """Hold R different molecules, which RDKit and the encoder can read."""

    def __init__(
        self,
        smiles: Sequence[str],
        encoder: Callable[[], "SequenceModel"],
        learner: "InContextModel | None" = None,
    ) -> None:
        """Take SMILES, what loads the model of the embeddings, and the learner where one is asked."""
        self.smiles, self.learner = smiles, learner
        self._encoder = encoder
        self._prints = Described(len(smiles), self._print)
        self._embeddings = Described(len(smiles), self._embed)
        self._points = Described(len(smiles), self._point)

    def bits(self, rows: np.ndarray) -> np.ndarray:
        """Return Morgan bits of radius 2, (N, 2048) uint8."""
        return np.unpackbits(self._prints.take(rows), axis=1, count=BITS)

    def embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return mean embeddings of the language model, (N, E) float32."""
        return self._embeddings.take(rows)

    def points(self, rows: np.ndarray) -> np.ndarray:
        """Return the points of the learner, (N, W) uint8."""
        return self._points.take(rows)

    def _texts(self, rows: np.ndarray) -> list[str]:
        return [self.smiles[row] for row in rows.tolist()]

    def _print(self, rows: np.ndarray) -> np.ndarray:
        return fingerprints(self._texts(rows), "smiles")

    def _embed(self, rows: np.ndarray) -> np.ndarray:
        model = self._encoder()
        return np.asarray(model.embed(self._texts(rows), pool="mean"), np.float32)

    def _point(self, rows: np.ndarray) -> np.ndarray:
        import torch

        assert self.learner is not None
        with torch.no_grad():
            known = self.learner.describe(self._texts(rows))
            # what describes them to the learner are the embeddings, too
            self._embeddings.put(rows, known.embeddings.numpy())
            points: np.ndarray = self.learner(known).numpy()
        return points
