"""From vectors per token to one vector per sequence: segment reductions that can go on piece by piece."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Pooler(Protocol):
    """Collect the hidden states of N packed sequences, all at once or piece after piece."""

    def add(self, hidden: Tensor, lengths: Tensor) -> None:
        """Take the next tokens (T, D) of every sequence, `lengths` (N,) of them each."""

    def results(self) -> list[np.ndarray]:
        """Return one float32 array per sequence: (D,), or (length, D) where tokens are kept."""


class MeanPooler:
    """Average over tokens; sums of pieces are added in float64, so that a chromosome loses no precision."""

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0
        self.count: Tensor | float = 0.0

    def add(self, hidden: Tensor, lengths: Tensor) -> None:
        """Take the next tokens (T, D) of every sequence."""
        sums = torch.segment_reduce(hidden.float(), "sum", lengths=lengths)  # (N, D)
        self.total = self.total + sums.to("cpu", torch.float64)
        self.count = self.count + lengths.to("cpu", torch.float64)[:, None]

    def results(self) -> list[np.ndarray]:
        """Return the means, (D,) each."""
        return _rows(torch.as_tensor(self.total) / self.count)


class MaxPooler:
    """Take the largest value of each channel."""

    def __init__(self) -> None:
        self.best: Tensor | None = None

    def add(self, hidden: Tensor, lengths: Tensor) -> None:
        """Take the next tokens (T, D) of every sequence."""
        best = torch.segment_reduce(hidden.float(), "max", lengths=lengths)  # (N, D)
        self.best = best if self.best is None else torch.maximum(self.best, best)

    def results(self) -> list[np.ndarray]:
        """Return the maxima, (D,) each."""
        assert self.best is not None
        return _rows(self.best)


class FirstPooler:
    """Take the first token of each sequence."""

    def __init__(self) -> None:
        self.vectors: Tensor | None = None

    def add(self, hidden: Tensor, lengths: Tensor) -> None:
        """Take the next tokens (T, D) of every sequence."""
        if self.vectors is None:
            self.vectors = hidden[lengths.cumsum(0) - lengths]  # (N, D)

    def results(self) -> list[np.ndarray]:
        """Return the first vectors, (D,) each."""
        assert self.vectors is not None
        return _rows(self.vectors)


class LastPooler:
    """Take the last token of each sequence."""

    def __init__(self) -> None:
        self.vectors: Tensor | None = None

    def add(self, hidden: Tensor, lengths: Tensor) -> None:
        """Take the next tokens (T, D) of every sequence."""
        self.vectors = hidden[lengths.cumsum(0) - 1]  # (N, D)

    def results(self) -> list[np.ndarray]:
        """Return the last vectors, (D,) each."""
        assert self.vectors is not None
        return _rows(self.vectors)


class TokenPooler:
    """Keep every token."""

    def __init__(self) -> None:
        self.pieces: list[list[np.ndarray]] = []

    def add(self, hidden: Tensor, lengths: Tensor) -> None:
        """Take the next tokens (T, D) of every sequence."""
        values = hidden.float().cpu().numpy()
        self.pieces.append(np.split(values, lengths.cumsum(0)[:-1].tolist()))

    def results(self) -> list[np.ndarray]:
        """Return all vectors, (length, D) each."""
        return [np.concatenate(parts) for parts in zip(*self.pieces, strict=True)]


POOLS: dict[str, type[Pooler]] = {
    "mean": MeanPooler,
    "last": LastPooler,
    "first": FirstPooler,
    "max": MaxPooler,
    "none": TokenPooler,
}


def _rows(vectors: Tensor) -> list[np.ndarray]:
    """Bring vectors (N, D) to the CPU as float32, one array each."""
    return list(vectors.to(torch.float32).cpu().numpy())
