"""Ridge and logistic regression on plain features; the penalty is chosen by cross-validation inside training."""

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from bio_xlstm.tasks.assay.baselines.constant import constant_answer
from bio_xlstm.tasks.assay.baselines.features import Features
from bio_xlstm.tasks.assay.task import Task

FOLDS = 4
PENALTIES = tuple(10.0**power for power in range(5, -5, -1))
# of many targets, the penalty is chosen for those with most values, and taken for all
TUNED = 8
SMALL = 20_000_000


class Linear:
    """Predict by a linear model on features of one kind."""

    def __init__(self, name: str, words: str, features: Features) -> None:
        self.name, self.words, self._features = name, words, features
        self.penalty = 1.0
        self._models: list[Any] = []
        self._answer = np.zeros(0)

    def fit(self, sequences: Sequence[str], values: np.ndarray, task: Task, seed: int = 0) -> Self:
        """Choose the penalty, then fit every target (N, T) on the rows that have it."""
        features = dense_if_small(self._features.fit(sequences))
        self._task, self._answer = task, constant_answer(values, task)
        targets = [_Target(features, values[:, place], task) for place in range(values.shape[1])]
        richest = sorted(targets, key=lambda target: -len(target.rows))[:TUNED]
        self.penalty = choose_penalty([target for target in richest if target.varied], seed)
        self._models = [target.fit(self.penalty) if target.varied else None for target in targets]
        return self

    def predict(self, sequences: Sequence[str]) -> np.ndarray:
        """Predict as the task says; a target that had one value alone in training keeps it."""
        features = self._features.describe(sequences)
        if self._task.name == "multiclass":
            found = np.tile(self._answer, (len(sequences), 1))
            if self._models[0] is not None:
                found = np.zeros_like(found)
                found[:, self._models[0].classes_.astype(int)] = self._models[0].predict_proba(features)
            return found
        columns = []
        for answer, model in zip(self._answer, self._models, strict=True):
            if model is None:
                columns.append(np.full(len(sequences), answer))
            elif self._task.numeric:
                columns.append(model.predict(features))
            else:
                columns.append(model.predict_proba(features)[:, 1])
        return np.stack(columns, 1)


class _Target:
    """One column of values with the features of the rows that have one."""

    def __init__(self, features: Any, column: np.ndarray, task: Task) -> None:
        self.rows = np.flatnonzero(~np.isnan(column))
        self.features, self.values, self.numeric = features[self.rows], column[self.rows], task.numeric
        self.varied = len(np.unique(self.values)) > 1

    def fit(self, penalty: float) -> Any:
        """Fit all rows."""
        return _fitted(self._fresh(), penalty, self.features, self.values)

    def losses(self, inner: np.ndarray, outer: np.ndarray) -> list[float]:
        """Return the loss of some rows when others are fitted, for every penalty, in units of what a constant loses."""
        model = self._fresh()
        found = []
        for penalty in PENALTIES:
            # each begins where the stronger one before it ended
            _fitted(model, penalty, self.features[inner], self.values[inner])
            found.append(self._loss(model, outer))
        return found

    def folds(self, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Divide the rows; none where a class is too rare to be in every fold."""
        from sklearn.model_selection import KFold, StratifiedKFold

        rarest = (
            len(self.values) if self.numeric else int(np.unique(self.values, return_counts=True)[1].min())
        )
        count = min(FOLDS, rarest)
        if count < 2:
            return []
        splitter = (KFold if self.numeric else StratifiedKFold)(count, shuffle=True, random_state=seed)
        return list(splitter.split(np.zeros((len(self.values), 1)), self.values))

    def _fresh(self) -> Any:
        from sklearn.linear_model import LogisticRegression, Ridge

        return (
            Ridge(tol=1e-4) if self.numeric else LogisticRegression(max_iter=100, tol=1e-3, warm_start=True)
        )

    def _loss(self, model: Any, rows: np.ndarray) -> float:
        if self.numeric:
            error = (model.predict(self.features[rows]) - self.values[rows]) ** 2
            return float(np.mean(error) / np.var(self.values))
        chances = model.predict_proba(self.features[rows])
        right = chances[np.arange(len(rows)), np.searchsorted(model.classes_, self.values[rows])]
        return float(-np.mean(np.log(np.clip(right, 1e-7, 1))))


def _fitted(model: Any, penalty: float, features: Any, values: np.ndarray) -> Any:
    """Fit a model with a penalty."""
    from sklearn.exceptions import ConvergenceWarning

    strength = {"alpha": penalty} if hasattr(model, "alpha") else {"C": 1 / penalty}
    with warnings.catch_warnings():
        # weak penalties on many features need not be followed to the end
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.set_params(**strength).fit(features, values)


def choose_penalty(targets: Sequence[_Target], seed: int) -> float:
    """Return the penalty with the lowest loss over the folds of all targets; 1 where there are no folds."""
    losses = np.zeros(len(PENALTIES))
    for target in targets:
        for inner, outer in target.folds(seed):
            losses += target.losses(inner, outer)
    return PENALTIES[int(np.argmin(losses))] if losses.any() else 1.0


def dense_if_small(features: Any) -> Any:
    """Return features (N, F) as a plain array where it takes no more than 160 MB: that is faster."""
    sparse = hasattr(features, "toarray") and features.shape[0] * features.shape[1] <= SMALL
    return features.toarray() if sparse else features
