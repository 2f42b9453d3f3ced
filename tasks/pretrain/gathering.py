"""Gather what was read: tokens go to disk at once, a few numbers of every sequence stay in memory."""

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.pretrain.chemistry import NOTHING, MoleculeKeys, molecule_keys
from bio_xlstm.tasks.pretrain.luck import digest
from bio_xlstm.tasks.pretrain.reading import Found
from bio_xlstm.tasks.pretrain.token_store import TokenStore


class Gathered(NamedTuple):
    """Hold all sequences of a corpus, and what their split depends on."""

    store: TokenStore
    digests: np.ndarray  # (N,) uint64 hashes of the sequences
    molecules: np.ndarray  # (N,) uint64 hashes of molecules, however they are written; the digests of others
    luck: np.ndarray  # (N,) in [0, 1), by sequence or scaffold; nan where that cannot be read
    given: np.ndarray  # (N,) int8 part of a region, UNDECIDED for others


def gather(
    found: Iterable[Found], folder: Path, dtype: np.dtype, seed: int, *, scaffolds: bool = False
) -> Gathered:
    """Write tokens to `folder` as they come; `scaffolds` hashes molecules by what they are, not as written."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[array] = [array(code) for code in "qBbbifbQQd"]
    with (folder / "tokens.bin").open("wb") as tokens, (folder / "soft.bin").open("wb") as soft:
        for piece, text, part in found:
            written = piece.ids.tobytes()
            tokens.write(written)
            if piece.soft is not None:
                soft.write(piece.soft.tobytes())
            hashed = digest(written, seed)
            keys = molecule_keys(text, seed) if scaffolds else MoleculeKeys(hashed, hashed)
            drawn = np.nan if keys == NOTHING else keys.scaffold / 2**64
            row = (len(piece.ids), piece.domain, piece.begins, piece.ends, piece.set, piece.share, part)
            for column, value in zip(rows, (*row, hashed, keys.molecule, drawn), strict=True):
                column.append(value)
    lengths, *fields = (np.asarray(column) for column in rows)
    domains, begins, ends, sets, shares, given, digests, molecules, luck = fields
    store = TokenStore(
        _mapped(folder / "tokens.bin", dtype),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        domains,
        begins.astype(bool),
        ends.astype(bool),
        sets,
        shares,
        _mapped(folder / "soft.bin", np.dtype(bool)),
    )
    return Gathered(store, digests, molecules, luck, given)


def _mapped(path: Path, dtype: np.dtype) -> np.ndarray:
    """Map a flat file."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)


def first_copies(gathered: Gathered) -> np.ndarray:
    """Mark the first of equal sequences, (N,) bool: once among those alone, and once in every set."""
    # stable: copies stand in their order
    order = np.lexsort((gathered.digests, gathered.store.sets))
    digests, sets = gathered.digests[order], gathered.store.sets[order]
    copies = (digests[1:] == digests[:-1]) & (sets[1:] == sets[:-1])
    first = np.ones(len(order), bool)
    first[order[1:][copies]] = False
    return first
