"""scikit-learn estimators that predict from labelled molecules, proteins or DNA without training."""

import os
import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError

from bio_xlstm.errors import SequenceError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.directory import DEFAULT
from bio_xlstm.in_context.learner import Learner
from bio_xlstm.tasks.assay.cells import number
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.choices import check_choice
from bio_xlstm.tasks.evaluate.facts import read
from bio_xlstm.tasks.in_context.answering import Answers, Assay
from bio_xlstm.tasks.in_context.bounds import unsigned
from bio_xlstm.tasks.in_context.build import build_assay
from bio_xlstm.tasks.in_context.repeats import Example
from bio_xlstm.tasks.in_context.spelling import encode
from bio_xlstm.tasks.in_context.support import make_support
from bio_xlstm.tasks.readable import INVALID, LoadedModel, as_texts, readable_ids

_SOURCE = "fit"


class InContextPredictor(LoadedModel, BaseEstimator):
    """Keep the parameters and do the work; what is fitted is the state of the support, `state_`."""

    def __init__(
        self,
        model: str | os.PathLike[str] | Learner = DEFAULT,
        *,
        batch_tokens: int = 8192,
        invalid: str = "raise",
        device: str = "cpu",
    ) -> None:
        self.model = model
        self.batch_tokens = batch_tokens
        self.invalid = invalid
        self.device = device

    def points(self, X: Any) -> np.ndarray:
        """Encode sequences (N,) of strings once: rows of bytes (N, W) uint8, which `predict_points` takes any time.

        Points do not depend on what was fitted. Zeros for sequences that cannot be read where that is allowed: they
        are predicted as NaN.
        """
        learner = self._learner()
        texts, good = self._readable(X)
        encoded: np.ndarray = encode(learner, texts, batch_tokens=self.batch_tokens).numpy()
        if good.all():
            return encoded
        found = np.zeros((len(good), learner.width), np.uint8)
        found[good] = encoded
        return found

    def _fit(self, X: Any, values: Sequence[tuple[float, int]], task: Task) -> None:
        """Read sequences (N,) with values and relations (N); NaN is a value that was not measured."""
        texts, good = self._readable(X)
        kind = self._learner().kind
        if len(good) != len(values):
            raise SequenceError(f"there are {len(good)} sequences, but {len(values)} values")
        examples = [
            Example(read(text).canonical if kind == "smiles" else text, text, text, row, *values[row])
            for text, row in zip(texts, np.flatnonzero(good).tolist(), strict=True)
            if not np.isnan(values[row][0])
        ]
        support = make_support(examples, task, issues=[], notes=[], source=_SOURCE, kind=kind)
        for issue in support.issues:
            warnings.warn(f"row {issue.row} is left out: {issue.detail}", UserWarning, stacklevel=3)
        self.state_: AssayState = build_assay(self._learner(), support, batch_tokens=self.batch_tokens)
        self.n_examples_ = len(support)

    def _answer(self, points: Any) -> Answers:
        """Answer points (N, W)."""
        import torch

        given, width = np.asarray(points), self._learner().width
        if given.ndim != 2 or given.shape[1] != width or given.dtype != np.uint8:
            raise SequenceError(
                f"points must be bytes (uint8) of shape (N, {width}), as points() gives them, not {given.dtype} of "
                f"shape {given.shape}"
            )
        found = self._assay().answer(torch.from_numpy(given.copy()), spread=False)
        unread = ~given.any(1)
        return Answers(*(np.where(unread, np.nan, column) for column in found))

    def _assay(self) -> Assay:
        """Return the fitted state with its learner; ModelError where the learner was changed since."""
        if not hasattr(self, "state_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")
        return Assay(self._learner(), self.state_)

    def _readable(self, X: Any) -> tuple[list[str], np.ndarray]:
        """Return the sequences that can be read, and which of all (N,) those are."""
        check_choice("invalid", self.invalid, INVALID)
        model = self._learner().language_model
        ids = readable_ids(model, list(as_texts(X)), self.invalid)
        good = np.array([len(one) > 0 for one in ids], bool)
        return [model.tokenizer.decode(one) for one in ids if len(one)], good

    def _learner(self) -> Learner:
        """Return the learner."""
        learner: Learner = self._loaded()
        return learner

    def _open(self, name: str) -> Learner:
        """Load a learner by its name."""
        from bio_xlstm.tasks.in_context.learners import load_learner

        return load_learner(name, device=self.device, dtype="auto", backend="auto")

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the input is text."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


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
        self._fit(X, [_value(row, one) for row, one in enumerate(_column(y))], Task("regression", ("y",)))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict numbers (N,); NaN for sequences that cannot be read where that is allowed."""
        return self.predict_points(self.points(X))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Return lower and upper ends (N, 2) that hold the value with this probability.

        Split-conformal on what the support says of each of its examples without it; NaN where it has too few measured
        examples for the coverage (9 for 0.9).
        """
        assay = self._assay()
        found = self._answer(self.points(X))
        return np.stack(assay.intervals(coverage)(found.predicted, found.leverage), 1)

    def predict_points(self, points: Any) -> np.ndarray:
        """Predict numbers (N,) of sequences that `points` encoded (N, W)."""
        return self._answer(points).predicted


class InContextClassifier(ClassifierMixin, InContextPredictor):
    """Predict which of two classes sequences belong to from labelled ones, without training.

    The parameters are those of `InContextRegressor`. The second of `classes_` is the positive one. `predict` gives None
    in an array of objects, `predict_proba` NaN, for molecules that cannot be read where that is allowed.

    Example::

        InContextClassifier().fit(smiles, is_active).predict_proba(library)[:, 1]
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Read sequences (N,) and their two classes (N,), of any type that can be compared, into the state."""
        self.classes_, numbers = np.unique(np.asarray(_column(y)), return_inverse=True)
        if len(self.classes_) != 2:
            some = ", ".join(repr(one) for one in self.classes_.tolist()[:5])
            raise SequenceError(f"two classes are needed, not {len(self.classes_)} ({some})")
        task = Task("binary", ("y",), tuple(str(one) for one in self.classes_))
        self._fit(X, [(float(one), 0) for one in numbers.tolist()], task)
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
        positive = self.predict_proba_points(points)[:, 1]
        bad = np.isnan(positive)
        best = self.classes_[(positive >= 0.5).astype(int)]
        if not bad.any():
            return best
        best = best.astype(object)
        best[bad] = None
        return best


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
    text, relation = unsigned(given) if isinstance(given, str) else (repr(float(given)), 0)
    try:
        return number(text), relation
    except ValueError as error:
        raise SequenceError(f"value {row}: {error}") from None
