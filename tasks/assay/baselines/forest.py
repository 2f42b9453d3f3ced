"""A random forest on Morgan fingerprints: what medicinal chemists compare with."""

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from bio_xlstm.tasks.assay.baselines.constant import constant_answer
from bio_xlstm.tasks.assay.fingerprint import fingerprints
from bio_xlstm.tasks.assay.similarity import unpacked
from bio_xlstm.tasks.assay.task import Task

TREES = 500
# bits that a branch may choose from: their root, or this share; a small forest tells which is better out of bag
SHARES: tuple[str | float, ...] = ("sqrt", 0.1)
PILOT = 50
# with more rows, the root is taken
TUNED_ROWS = 5000


class Forest:
    """Predict by a random forest on Morgan bits (radius 2, 2,048)."""

    def __init__(self, trees: int = TREES, jobs: int = -1) -> None:
        self.name = "Morgan + random forest"
        self.words = "a random forest on Morgan fingerprints of radius 2 with 2,048 bits"
        self.trees, self.jobs = trees, jobs
        self._models: list[Any] = []

    def fit(self, sequences: Sequence[str], values: np.ndarray, task: Task, seed: int = 0) -> Self:
        """Grow a forest for every target (N, T) on the rows that have it."""
        bits = unpacked(fingerprints(sequences, "smiles"))
        self._task, self._answer = task, constant_answer(values, task)
        trees = max(50, self.trees // values.shape[1])
        self._models = [self._grow(bits, values[:, place], trees, seed) for place in range(values.shape[1])]
        return self

    def predict(self, sequences: Sequence[str]) -> np.ndarray:
        """Predict as the task says."""
        bits = unpacked(fingerprints(sequences, "smiles"))
        columns = []
        for place, model in enumerate(self._models):
            if model is None:
                constant = (
                    self._answer if self._task.name == "multiclass" else self._answer[place : place + 1]
                )
                columns.append(np.tile(constant, (len(sequences), 1)))
            elif self._task.numeric:
                columns.append(model.predict(bits)[:, None])
            else:
                columns.append(self._chances(model, bits))
        return np.concatenate(columns, 1)

    def _chances(self, model: Any, bits: np.ndarray) -> np.ndarray:
        """Return the probability of the second class (N, 1), or of all classes (N, C)."""
        found = np.zeros((len(bits), len(self._task.classes)))
        found[:, model.classes_.astype(int)] = model.predict_proba(bits)
        return found if self._task.name == "multiclass" else found[:, 1:2]

    def _grow(self, bits: np.ndarray, column: np.ndarray, trees: int, seed: int) -> Any:
        rows = np.flatnonzero(~np.isnan(column))
        if len(np.unique(column[rows])) < 2:
            return None
        values, chosen = column[rows], SHARES[0]
        if len(rows) <= TUNED_ROWS:
            pilots = {
                share: self._forest(bits[rows], values, min(PILOT, trees), seed, share, True)
                for share in SHARES
            }
            chosen = max(pilots, key=lambda share: pilots[share].oob_score_)
        return self._forest(bits[rows], values, trees, seed, chosen, False)

    def _forest(
        self, bits: np.ndarray, values: np.ndarray, trees: int, seed: int, share: str | float, judged: bool
    ) -> Any:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestRegressor if self._task.numeric else RandomForestClassifier
        with warnings.catch_warnings():
            # with few trees some rows are in every bag
            warnings.simplefilter("ignore", UserWarning)
            return kind(trees, max_features=share, n_jobs=self.jobs, random_state=seed, oob_score=judged).fit(
                bits, values
            )
