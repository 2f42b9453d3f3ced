"""Token files: sequences of ids end to end, memory-mapped."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """Hold one sequence of a corpus, or a part of one."""

    ids: np.ndarray
    domain: int
    begins: bool = True  # whether the first id is the true beginning of the sequence
    ends: bool = True  # whether the last id is its true end
    text: str = ""  # only while a split needs it


class TokenStore(NamedTuple):
    """Hold many pieces as flat arrays."""

    tokens: np.ndarray  # (T,) ids
    offsets: np.ndarray  # (N + 1,) int64
    domains: np.ndarray  # (N,) uint8
    begins: np.ndarray  # (N,) bool
    ends: np.ndarray  # (N,) bool

    def __len__(self) -> int:
        return len(self.domains)

    def select(self, chosen: np.ndarray) -> "TokenStore":
        """Copy the chosen pieces, (N,) bool, into memory."""
        lengths = np.diff(self.offsets)
        offsets = np.concatenate([[0], np.cumsum(lengths[chosen])])
        kept = np.repeat(chosen, lengths)
        return TokenStore(
            self.tokens[kept], offsets, self.domains[chosen], self.begins[chosen], self.ends[chosen]
        )


def collect(pieces: Sequence[Piece], dtype: np.dtype) -> TokenStore:
    """Join pieces in their order."""
    lengths = np.array([len(piece.ids) for piece in pieces], np.int64)
    tokens = np.concatenate([piece.ids for piece in pieces]) if len(pieces) else np.zeros(0)
    return TokenStore(
        tokens.astype(dtype),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        np.array([piece.domain for piece in pieces], np.uint8),
        np.array([piece.begins for piece in pieces], bool),
        np.array([piece.ends for piece in pieces], bool),
    )


def write_store(store: TokenStore, folder: Path) -> None:
    """Write every array of a store as a .npy file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in store._asdict().items():
        np.save(folder / f"{name}.npy", array)


def read_store(folder: Path) -> TokenStore:
    """Map a store; the tokens stay on disk until they are read."""
    return TokenStore(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in TokenStore._fields))
