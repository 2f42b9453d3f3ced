"""Families of homologs: sequences without gaps, beside the columns of the alignment they stand in."""

import os
import re
from typing import NamedTuple

import numpy as np

from bio_xlstm.errors import InputError
from bio_xlstm.records.source import open_records

GAPS = "-."
# what stands between the letters of a sequence, and its trailing stop
_NO_LETTERS = re.compile(r"[\s*]+")
_INSERTED = re.compile(r"[a-z.]+")
_NOT_A_RESIDUE = str.maketrans("", "", GAPS)


class Alignment(NamedTuple):
    """Hold N homologs; `columns` is None where the file aligns nothing."""

    ids: tuple[str, ...]
    sequences: tuple[str, ...]  # upper case, without gaps
    columns: np.ndarray | None  # (N, C) uint8 upper-case letters, 0 for a gap


def read_alignment(path: str | os.PathLike[str]) -> Alignment:
    """Read a family from a3m, a2m, Stockholm, FASTA, or plain aligned rows.

    Sequences without a residue are left out. Insertions (lower case, as in a3m) belong to the sequences, not to the
    columns. A file whose rows differ in length aligns nothing. InputError as `open_records`.
    """
    found = [(record.id, _NO_LETTERS.sub("", record.text)) for record in open_records(path, kind="protein")]
    sequences = [row.translate(_NOT_A_RESIDUE).upper() for _, row in found]
    kept = [number for number, sequence in enumerate(sequences) if sequence]
    if not kept:
        raise InputError(f"{os.fspath(path)}: no sequence of the family holds a residue")
    return Alignment(
        tuple(found[number][0] for number in kept),
        tuple(sequences[number] for number in kept),
        _columns([found[number][1] for number in kept]),
    )


def _columns(rows: list[str]) -> np.ndarray | None:
    """Stack rows of one length, without their insertions if there are any."""
    matched = [_INSERTED.sub("", row) for row in rows]
    for candidate in (matched, rows):
        if candidate[0] and len({len(row) for row in candidate}) == 1:
            joined = np.frombuffer("".join(candidate).upper().encode("latin-1", "replace"), np.uint8)
            columns = joined.reshape(len(candidate), -1)
            return np.where(np.isin(columns, list(GAPS.encode())), 0, columns).astype(np.uint8)
    return None
