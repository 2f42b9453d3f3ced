"""Token files: sequences of ids end to end, memory-mapped."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Piece(NamedTuple):
    """Hold one sequence of a corpus, or a part of one."""

    ids: np.ndarray
    domain: int
    begins: bool = True  # whether the first id is the true beginning of the sequence
    ends: bool = True  # whether the last id is its true end
    set: int = -1  # number of the set it belongs to, -1 for none
    share: float = 1.0  # how often an epoch shows it, as homologs are redundant
    soft: np.ndarray | None = None  # (T,) bool, lower-case letters


class TokenStore(NamedTuple):
    """Hold many pieces as flat arrays."""

    tokens: np.ndarray  # (T,) ids
    offsets: np.ndarray  # (N + 1,) int64
    domains: np.ndarray  # (N,) uint8
    begins: np.ndarray  # (N,) bool
    ends: np.ndarray  # (N,) bool
    sets: np.ndarray  # (N,) int32
    shares: np.ndarray  # (N,) float32
    soft: np.ndarray  # (T,) bool, or (0,) where case does not matter

    def __len__(self) -> int:
        return len(self.domains)

    def __reduce__(self) -> tuple[Any, ...]:
        # another process maps the same files
        if isinstance(self.tokens, np.memmap) and self.tokens.filename:
            return read_store, (Path(self.tokens.filename).parent,)
        return TokenStore, tuple(self)

    def select(self, chosen: np.ndarray) -> "TokenStore":
        """Copy the chosen pieces, (N,) bool, into memory."""
        lengths = np.diff(self.offsets)
        offsets = np.concatenate([[0], np.cumsum(lengths[chosen])])
        kept = np.repeat(chosen, lengths)
        return TokenStore(
            self.tokens[kept],
            offsets,
            self.domains[chosen],
            self.begins[chosen],
            self.ends[chosen],
            self.sets[chosen],
            self.shares[chosen],
            self.soft[kept] if len(self.soft) else self.soft,
        )


def collect(pieces: Sequence[Piece], dtype: np.dtype) -> TokenStore:
    """Join pieces in their order."""
    lengths = np.array([len(piece.ids) for piece in pieces], np.int64)
    tokens = np.concatenate([piece.ids for piece in pieces]) if len(pieces) else np.zeros(0)
    marked = any(piece.soft is not None for piece in pieces)
    soft = [np.zeros(len(p.ids), bool) if p.soft is None else p.soft for p in pieces if marked]
    return TokenStore(
        tokens.astype(dtype),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        np.array([piece.domain for piece in pieces], np.uint8),
        np.array([piece.begins for piece in pieces], bool),
        np.array([piece.ends for piece in pieces], bool),
        np.array([piece.set for piece in pieces], np.int32),
        np.array([piece.share for piece in pieces], np.float32),
        np.concatenate(soft) if soft else np.zeros(0, bool),
    )


def read_store(folder: Path) -> TokenStore:
    """Map a store; the tokens stay on disk until they are read."""
    return TokenStore(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in TokenStore._fields))


class Cuts(NamedTuple):
    """Hold which parts of the pieces of a store become pieces of another, one entry per new piece."""

    piece: np.ndarray  # (M,) number of the piece
    begin: np.ndarray  # (M,) first id, counted within the piece
    end: np.ndarray  # (M,) one past the last id


def copy_store(store: TokenStore, cuts: Cuts, folder: Path) -> None:
    """Write parts of a store as a store of its own, without holding the tokens in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = cuts.end - cuts.begin
    whole = np.diff(store.offsets)[cuts.piece]
    fields = {
        "offsets": np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        "domains": store.domains[cuts.piece],
        "begins": store.begins[cuts.piece] & (cuts.begin == 0),
        "ends": store.ends[cuts.piece] & (cuts.end == whole),
        "sets": store.sets[cuts.piece],
        "shares": store.shares[cuts.piece],
    }
    for name, array in fields.items():
        np.save(folder / f"{name}.npy", array)
    base = store.offsets[cuts.piece]
    spans = _joined(base + cuts.begin, base + cuts.end)
    for name, flat in (("tokens", store.tokens), ("soft", store.soft)):
        _copy_spans(flat, spans if len(flat) else [], folder / f"{name}.npy")


def _joined(begins: np.ndarray, ends: np.ndarray) -> list[tuple[int, int]]:
    """Join spans that touch."""
    breaks = np.flatnonzero(begins[1:] != ends[:-1]) + 1
    firsts = begins[np.concatenate([[0], breaks])] if len(begins) else begins
    lasts = ends[np.concatenate([breaks - 1, [len(ends) - 1]])] if len(ends) else ends
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


_AT_A_TIME = 1 << 22


def _copy_spans(flat: np.ndarray, spans: list[tuple[int, int]], path: Path) -> None:
    """Write spans of a flat array end to end as a .npy file, some of it at a time."""
    total = sum(end - begin for begin, end in spans)
    header = {"descr": np.lib.format.dtype_to_descr(flat.dtype), "fortran_order": False, "shape": (total,)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for begin, end in spans:
            for first in range(begin, end, _AT_A_TIME):
                file.write(np.ascontiguousarray(flat[first : min(first + _AT_A_TIME, end)]).data)
