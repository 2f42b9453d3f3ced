"""scikit-learn estimators that predict from labelled molecules, proteins or DNA without training."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from bio_xlstm.errors import SequenceError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.tasks.assay.cells import is_number, number
from bio_xlstm.tasks.assay.labels import computable
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.in_context.bounds import unsigned
from bio_xlstm.tasks.in_context.predictor import InContextPredictor
from bio_xlstm.tasks.in_context.request import COVERAGE
from bio_xlstm.tasks.in_context.trust import check_coverage
from bio_xlstm.tasks.readable import is_missing, known_classes

# under this name a state keeps classes as they were given, beside their names
_GIVEN = "given_classes"


class InContextRegressor(RegressorMixin, InContextPredictor):
    """Predict numbers of sequences from labelled ones, without training: `fit` reads them into a state.

    Args:
        model: bundled name or directory of an in-context learner (molecules) or of a language model (proteins, DNA:
            "protein-small", "dna-small"), or a loaded learner.
        batch_tokens: tokens computed at once.
        invalid: "raise" SequenceError for a sequence that cannot be read; or "nan": leave it out of fit, and predict
            NaN for it.
        device: where the language model of a learner given by name runs.

    `fit` takes N strings and N numbers, NaN where one was not measured, or text such as ">10" where only a bound was.

    Example::

        InContextRegressor().fit(smiles, pic50).predict_interval(others, coverage=0.8)
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Read sequences (N,) and numbers (N,) into the state."""
        values = [_value(row, one) for row, one in enumerate(_column(y))]
        self._fit(X, values, Task("regression", ("y",)))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict numbers (N,); NaN for sequences that cannot be read where that is allowed."""
        return self.predict_points(self.points(X))

    def predict_interval(self, X: Any, coverage: float = COVERAGE) -> np.ndarray:
        """Return lower and upper ends (N, 2) that hold the value with this probability.

        Split-conformal on what the support says of each of its examples without it; NaN where it has too few measured
        examples for the coverage (9 for 0.9).
        """
        return self.predict_interval_points(self.points(X), coverage)

    def predict_points(self, points: Any) -> np.ndarray:
        """Predict numbers (N,) of sequences that `points` encoded (N, W)."""
        return self._answer(points).predicted

    def predict_interval_points(self, points: Any, coverage: float = COVERAGE) -> np.ndarray:
        """Return the intervals (N, 2) of sequences that `points` encoded (N, W)."""
        check_coverage(coverage, "coverage")
        assay = self._assay()
        found = self._answer(points)
        return np.stack(assay.intervals(coverage)(found.predicted, found.leverage), 1)

    @property
    def _numeric(self) -> bool:
        return True


class InContextClassifier(ClassifierMixin, InContextPredictor):
    """Predict which of two classes sequences belong to from labelled ones, without training.

    The parameters are those of `InContextRegressor`. The second of `classes_` is the positive one. `predict` gives None
    in an array of objects, `predict_proba` NaN, for molecules that cannot be read where that is allowed.

    Example::

        InContextClassifier().fit(smiles, is_active).predict_proba(library)[:, 1]
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Read sequences (N,) and their two classes (N,), of any type that can be compared, into the state.

        None, NaN, the NA of pandas and empty text are no class: such rows are left out.
        """
        self.classes_, numbers = known_classes(_column(y))
        if len(self.classes_) != 2:
            some = ", ".join(repr(one) for one in self.classes_.tolist()[:5]) or "no label at all"
            raise SequenceError(f"two classes are needed, not {len(self.classes_)} ({some})")
        task = Task("binary", ("y",), tuple(str(one) for one in self.classes_))
        self._fit(X, [(one, 0) for one in numbers.tolist()], task)
        given = self.classes_.tolist()
        if all(isinstance(one, str | int | float) for one in given):
            self.state_ = replace(self.state_, facts=self.state_.facts | {_GIVEN: given})
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of both classes (N, 2), in the order of `classes_`."""
        return self.predict_proba_points(self.points(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the more probable class of every sequence (N,)."""
        return self.predict_points(self.points(X))

    def predict_proba_points(self, points: Any) -> np.ndarray:
        """Return the probability of both classes (N, 2) for sequences that `points` encoded (N, W)."""
        positive = self._answer(points).predicted
        return np.stack((1 - positive, positive), 1)

    def predict_points(self, points: Any) -> np.ndarray:
        """Return the more probable class (N,) of sequences that `points` encoded (N, W)."""
        return self._decided(self.predict_proba_points(points)[:, 1])

    def details(self, X: Any, *, points: Any = None, coverage: float = COVERAGE) -> dict[str, np.ndarray]:
        """Return the columns of `bioxlstm predict`, with `predicted` of the type of `classes_`."""
        found = super().details(X, points=points, coverage=coverage)
        return found | {"predicted": self._decided(found["probability"])}

    def _take(self, state: AssayState, source: str) -> None:
        """Take the classes too: as they were given, or, from a table, as numbers where they are numbers."""
        super()._take(state, source)
        names = state.facts["classes"]
        plain = [float(name) for name in names] if all(map(is_number, names)) else names
        whole = [int(one) if isinstance(one, float) and one.is_integer() else one for one in plain]
        self.classes_ = np.array(state.facts.get(_GIVEN, whole))

    def _decided(self, positive: np.ndarray) -> np.ndarray:
        """Return the more probable class (N,), None where the probability is NaN."""
        bad = np.isnan(positive)
        best = self.classes_[(positive >= 0.5).astype(int)]
        if not bad.any():
            return best
        best = best.astype(object)
        best[bad] = None
        return best

    @property
    def _numeric(self) -> bool:
        return False


def _column(y: Any) -> list[Any]:
    """Return labels (N,) or (N, 1) as a list."""
    array = np.asarray(y, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise SequenceError(f"labels must come as one column, not as an array of shape {array.shape}")
    return list(array)


def _value(row: int, given: Any) -> tuple[float, int]:
    """Read a number, or a text such as ">10"; NaN is none."""
    if is_missing(given):
        return float("nan"), 0
    try:
        text, relation = unsigned(given) if isinstance(given, str) else (repr(float(given)), 0)
        return computable(number(text), text), relation
    except (TypeError, ValueError) as error:
        reason = error if isinstance(error, ValueError) else f"{given!r} is not a number"
        raise SequenceError(f"value {row}: {reason}") from None
