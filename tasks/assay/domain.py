"""The applicability domain: how similar a query is to the nearest sequence that a model was trained on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self

import numpy as np

from bio_xlstm.tasks.assay.fingerprint import fingerprints
from bio_xlstm.tasks.assay.similarity import nearest, nearest_fellow

# training sequences that the usual similarity is taken of
SAMPLE = 2000
USUAL = 0.95
BLOCK = 4096


@dataclass(frozen=True)
class Domain:
    """Hold the fingerprints of M training sequences; queries of any number pass in blocks.

    Similarity is Tanimoto: of Morgan bits for molecules, of sets of short words for proteins and DNA (both strands).
    """

    kind: str
    prints: np.ndarray  # (M, bits / 8) uint8, packed
    threshold: float
    """the similarity that 95 % of the training sequences reach to their nearest fellow; below it a query is outside"""

    @classmethod
    def of(cls, sequences: Sequence[str], kind: str) -> Self:
        """Describe training sequences."""
        prints = fingerprints(sequences, kind)
        return cls(kind, prints, usual_similarity(prints))

    def nearest(self, sequences: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the highest similarity (N,) float32 and the number (N,) of the training sequence it is to.

        A query that is empty or cannot be read has similarity NaN and number -1.
        """
        prints = fingerprints(sequences, self.kind)
        found, which = nearest(prints, self.prints)
        blank = ~prints.any(1)
        return np.where(blank, np.float32(np.nan), found), np.where(blank, -1, which)

    def stream(self, sequences: Iterable[str], block: int = BLOCK) -> Iterator[tuple[float, int]]:
        """Yield the same pair for every query, one after the other; memory does not grow with their number."""
        waiting = iter(sequences)
        while several := list(islice(waiting, block)):
            found, which = self.nearest(several)
            yield from zip(found.tolist(), which.tolist(), strict=True)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what a model directory stores (np.savez, safetensors)."""
        kind = np.frombuffer(self.kind.encode(), np.uint8)
        return {"prints": self.prints, "threshold": np.array([self.threshold]), "kind": kind}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Read what `to_arrays` returned."""
        return cls(bytes(arrays["kind"]).decode(), arrays["prints"], float(arrays["threshold"][0]))


def usual_similarity(prints: np.ndarray) -> float:
    """Return the similarity to the nearest fellow that 95 % of the fingerprints (N, bytes) reach; 0 for one alone.

    Of more than 2,000, a fair sample is compared with all.
    """
    if len(prints) < 2:
        return 0.0
    rows = np.random.default_rng(0).permutation(len(prints))[:SAMPLE]
    return float(np.quantile(nearest_fellow(prints, rows), 1 - USUAL))
