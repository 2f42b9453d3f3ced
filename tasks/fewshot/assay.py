"""One assay of a few-shot evaluation: its molecules and what was measured of them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Assay:
    """Hold N molecules of one assay, each once."""

    name: str
    rows: np.ndarray  # (N,) int64, which molecule of the library
    values: np.ndarray  # (N,) 0 and 1, or numbers
    relations: np.ndarray  # (N,) int8: -1 where the true value is below, 1 where it is above, else 0
    pool: np.ndarray  # (N,) bool, may be an example
    asked: np.ndarray  # (N,) bool, may be a query
    marked: np.ndarray  # (N,) bool, what is also measured alone

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)
