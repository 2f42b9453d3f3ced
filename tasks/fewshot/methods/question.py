"""What every method is asked: S supports of one assay, and the queries of each."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.fewshot.library import Library


class One(NamedTuple):
    """Hold one support of N examples, and its M queries, as molecules of the library."""

    support: np.ndarray  # (N,) int64
    values: np.ndarray  # (N,) 0 and 1, or numbers
    queries: np.ndarray  # (M,) int64
    numeric: bool
    seed: int


class Question(NamedTuple):
    """Hold S supports of N examples with M queries each, all of one assay."""

    library: Library
    support: np.ndarray  # (S, N) int64, molecules of the library
    values: np.ndarray  # (S, N) 0 and 1, or numbers
    relations: np.ndarray  # (S, N) -1 below, 1 above, 0 equal
    queries: np.ndarray  # (S, M) int64
    seeds: range
    numeric: bool

    def each(self) -> Iterator[One]:
        """Yield the supports one by one."""
        for place, seed in enumerate(self.seeds):
            yield One(
                self.support[place], self.values[place], self.queries[place], numeric=self.numeric, seed=seed
            )
