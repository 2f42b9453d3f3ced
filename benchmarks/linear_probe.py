"""Linear models on frozen features: strength and features chosen by cross-validation, scores with intervals."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

FOLDS = 4
# from the strongest to the weakest
PENALTIES = tuple(10.0**power for power in range(4, -5, -1))
METRICS = {"regression": "Spearman", "binary": "ROC AUC", "classes": "MCC"}

# dense features are standardised, sparse ones are used as they are
Features = np.ndarray | csr_matrix


def spearman(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the rank correlation, 0 where one side is constant."""
    with warnings.catch_warnings(action="ignore"):
        found = float(spearmanr(labels, predicted).statistic)
    return found if found == found else 0.0


class Fitted(NamedTuple):
    """Hold what a linear model on the best of several features predicts for the test part."""

    chosen: str  # name of the features
    penalty: float
    cross_validated: float
    predicted: np.ndarray  # (M,) values, scores of the second class, or classes

    @property
    def choice(self) -> dict[str, Any]:
        """Return what cross-validation chose."""
        *about, _ = self._asdict().items()
        return dict(about)


def fit(
    candidates: Mapping[str, Features], labels: np.ndarray, groups: np.ndarray, test: np.ndarray, kind: str
) -> Fitted:
    """Choose features (N, F) and penalty on the training part alone, fit, and predict the test part (N,) bool."""
    train = np.flatnonzero(~test)
    splitter = GroupKFold(min(FOLDS, len(np.unique(groups[train]))), shuffle=True, random_state=0)
    folds = [(train[inner], train[outer]) for inner, outer in splitter.split(train, groups=groups[train])]
    found = {name: _best_penalty(kind, features, labels, folds) for name, features in candidates.items()}
    name = max(found, key=lambda name: found[name][1])
    penalty, reached = found[name]
    predict = _Linear(kind, candidates[name], labels, train, np.flatnonzero(test))
    return Fitted(name, penalty, reached, predict(penalty))


def _best_penalty(
    kind: str, features: Features, labels: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """Return the penalty with the best mean score over the folds, and that score."""
    models = [_Linear(kind, features, labels, inner, outer) for inner, outer in folds]
    reached: list[float] = []
    for penalty in PENALTIES:
        scores = [
            score(kind, labels[outer], model(penalty))
            for model, (_, outer) in zip(models, folds, strict=True)
        ]
        # a fold may lack a class
        reached.append(float(np.nanmean(scores)) if not np.isnan(scores).all() else -np.inf)
    best = int(np.argmax(reached))
    return PENALTIES[best], reached[best]


class _Linear:
    """A linear model of one training part, which predicts one other part for one penalty after the other."""

    def __init__(
        self, kind: str, features: Features, labels: np.ndarray, train: np.ndarray, rows: np.ndarray
    ) -> None:
        known, asked = features[train], features[rows]
        if not issparse(features):
            scaler = StandardScaler().fit(known)
            known, asked = scaler.transform(known), scaler.transform(asked)
        self.kind, self.known, self.asked, self.labels = kind, known, asked, labels[train]
        # every penalty begins where the one before ended
        self.model = (
            Ridge() if kind == "regression" else LogisticRegression(max_iter=100, tol=1e-3, warm_start=True)
        )

    def __call__(self, penalty: float) -> np.ndarray:
        """Return values, scores of the second class, or classes."""
        strength = {"alpha": penalty} if self.kind == "regression" else {"C": 1 / penalty}
        with warnings.catch_warnings():
            # weak penalties on many features need not be followed to the end
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.set_params(**strength).fit(self.known, self.labels)
        how = self.model.decision_function if self.kind == "binary" else self.model.predict
        found: np.ndarray = how(self.asked)
        return found


def score(kind: str, labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the metric of a kind of labels; nan where it does not exist."""
    if kind == "regression":
        return spearman(labels, predicted)
    if kind == "binary":
        return float(roc_auc_score(labels, predicted)) if len(np.unique(labels)) == 2 else float("nan")
    return float(matthews_corrcoef(labels, predicted))


class Part(NamedTuple):
    """Hold the test part of one split: its labels, and what each kind of features predicts."""

    labels: np.ndarray
    predicted: dict[str, np.ndarray]


def bootstrap(kind: str, parts: Sequence[Part], times: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the mean score over splits for rows drawn anew with replacement, (times,) for every kind of features.

    All kinds of features see the same rows, so that their differences have intervals too.
    """
    rng = np.random.default_rng(seed)
    found = {name: np.zeros(times) for name in parts[0].predicted}
    for turn in range(times):
        for part in parts:
            rows = rng.integers(len(part.labels), size=len(part.labels))
            for name, predicted in part.predicted.items():
                found[name][turn] += score(kind, part.labels[rows], predicted[rows]) / len(parts)
    return found


def interval(values: np.ndarray) -> list[float]:
    """Return the 95 % interval of drawn scores."""
    low, high = np.nanquantile(values, (0.025, 0.975))
    return [float(low), float(high)]
