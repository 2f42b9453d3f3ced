"""An assay in memory: the sequences that can be used, their values, and what was found on the way."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.assay.audit import Audit
from bio_xlstm.tasks.assay.task import Task


class Issue(NamedTuple):
    """Say why a row of the input cannot be used; statuses are those of every output, and `unlabelled`."""

    row: int
    status: str
    detail: str


@dataclass(frozen=True)
class Assay:
    """Hold N usable sequences with their values.

    `rows[i]` is the number of sequence i in the input, from 0; `columns` holds every input row, usable or not,
    so that `columns[name][rows[i]]` belongs to sequence i (`cells` gives exactly those).
    """

    source: str
    """name of the file, for messages"""
    sequences: list[str]
    """as tokenizers want them: letters cleaned, SMILES as written"""
    canonical: list[str]
    """what makes two sequences the same: canonical SMILES, else the letters"""
    rows: np.ndarray  # (N,) int64
    kind: str
    """dna, protein or smiles"""
    values: np.ndarray
    """(N, T) float64: numbers or numbers of classes, NaN where missing; (N, 0) for per_token"""
    task: Task
    columns: dict[str, list[str]]
    sequence_column: str
    issues: list[Issue]
    audit: Audit
    token_values: list[np.ndarray] = field(default_factory=list)
    """per_token alone: the class of every letter (L,) int16, -1 where missing"""

    def __len__(self) -> int:
        """Return N."""
        return len(self.sequences)

    @property
    def input_rows(self) -> int:
        """Return how many rows the input has."""
        return self.audit.input_rows

    def cells(self, column: str) -> list[str]:
        """Return the cells (N) of a column for the usable rows."""
        whole = self.columns[column]
        return [whole[row] for row in self.rows.tolist()]
