"""scikit-learn estimators around the models."""

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.choices import POOLS, RC, check_choice
from bio_xlstm.tasks.in_context.estimators import InContextClassifier, InContextRegressor
from bio_xlstm.tasks.readable import INVALID, LoadedModel, as_texts, known_classes, readable_ids
from bio_xlstm.tasks.sequence_predictor import SequencePredictor

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel


__all__ = [
    "InContextClassifier",
    "InContextRegressor",
    "SequenceClassifier",
    "SequenceEmbedder",
    "SequenceRegressor",
]


class SequenceEmbedder(LoadedModel, TransformerMixin, BaseEstimator):
    """Turn sequences into vectors inside a scikit-learn pipeline; there is nothing to fit.

    Args:
        model: bundled name, model directory (text or Path), hub id, or a loaded model.
        pool: mean, last, first or max.
        layer: number of the layer; 0 is the embedding, -1 the last.
        rc: auto (what the model is made for), none, average or concat, for DNA.
        batch_tokens: tokens computed at once.
        invalid: "raise" SequenceError for a sequence that cannot be read, or give it a row of "nan".
        device: where a model given by name is loaded.

    `transform` takes a list, Series or array of N strings and returns (N, D) float32.

    Example::

        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        make_pipeline(SequenceEmbedder("protein-small"), Ridge()).fit(sequences, activity)
    """

    def __init__(
        self,
        model: "str | os.PathLike[str] | SequenceModel" = "protein-small",
        *,
        pool: str = "mean",
        layer: int = -1,
        rc: str = "auto",
        batch_tokens: int = 8192,
        invalid: str = "raise",
        device: str = "cpu",
    ) -> None:
        self.model = model
        self.pool = pool
        self.layer = layer
        self.rc = rc
        self.batch_tokens = batch_tokens
        self.invalid = invalid
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the options, the layer against the model too; the sequences are not looked at."""
        check_choice("invalid", self.invalid, INVALID)
        check_choice("pool", self.pool, POOLS)
        check_choice("rc", self.rc, RC)
        if self.pool == "none":
            raise ConfigError("pool='none' gives no table; use mean, last, first or max")
        self._loaded().layer_index(self.layer)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embed sequences (N,) of strings; (N, D) float32."""
        from bio_xlstm.embedding import embed_batch

        self.fit(X)
        model = self._loaded()
        ids = readable_ids(model, list(as_texts(X)), self.invalid)
        good = np.array([len(one) > 0 for one in ids], bool)
        found = embed_batch(
            model,
            [one for one in ids if len(one)],
            pools=(self.pool,),
            layers=(self.layer,),
            rc=self.rc,
            batch_tokens=self.batch_tokens,
        )
        vectors = np.full((len(ids), len(self.get_feature_names_out())), np.nan, np.float32)
        if found:
            vectors[good] = np.stack([one[model.layer_index(self.layer), self.pool] for one in found])
        return vectors

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names e0, e1, ... of the D columns."""
        from bio_xlstm.embedding import embedding_width

        width = embedding_width(self._loaded(), self.rc)
        return np.array([f"e{i}" for i in range(width)], object)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the input is text and that no fit is needed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Tell that transform works without fit."""
        return True


class SequenceRegressor(RegressorMixin, SequencePredictor):
    """Predict numbers from sequences: a head on the embeddings of a model that stays as it is.

    Args:
        model: bundled name, model directory (text or Path), hub id, or a loaded model.
        pool: mean, last, first or max.
        layers: layers that the head may see: "auto", "all" or numbers such as "-1,3".
        head: linear, radial (curved) or auto: form, layers and penalty are chosen by cross-validation.
        batch_tokens: tokens computed at once.
        invalid: "raise" SequenceError for a sequence that cannot be read; or "nan": leave it out of fit, and predict
            NaN for it.
        random_state: seed of the folds.
        device: where a model given by name is loaded.

    `fit` takes N strings and numbers (N,) or (N, T), NaN where one was not measured.

    Example::

        from sklearn.model_selection import cross_val_score
        cross_val_score(SequenceRegressor("chem-small"), smiles, solubility, cv=5)
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from sequences (N,) and numbers (N,) or (N, T)."""
        values = np.asarray(y, np.float64)
        self.single_ = values.ndim == 1
        values = values.reshape(len(values), -1)
        self._fit(X, values, Task("regression", tuple(f"y{number}" for number in range(values.shape[1]))))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict numbers of the shape that was learned from; NaN for sequences that cannot be read."""
        found, _ = self._answer(X)
        return found[:, 0] if self.single_ else found


class SequenceClassifier(ClassifierMixin, SequencePredictor):
    """Predict classes from sequences: a head on the embeddings of a model that stays as it is.

    Args:
        class_weights: "none", or "balanced": rare classes count as much as common ones.

    The others are those of `SequenceRegressor`. `predict` gives None in an array of objects, `predict_proba` NaN, for
    sequences that cannot be read where that is allowed.

    Example::

        SequenceClassifier("protein-small").fit(sequences, is_toxic).predict_proba(others)
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from sequences (N,) and their classes (N,), of any type that can be compared.

        None, NaN, the NA of pandas and empty text are no class: such rows are left out.
        """
        labels = np.asarray(y)
        if labels.ndim != 1:
            raise SequenceError(f"classes must come as one column, not as an array of shape {labels.shape}")
        self.classes_, numbers = known_classes(y)
        if len(self.classes_) < 2:
            some = (
                f"one class alone, {self.classes_.tolist()[0]!r}" if len(self.classes_) else "no class at all"
            )
            raise SequenceError(f"there is {some}: there is nothing to learn")
        self._fit(X, numbers[:, None], Task("multiclass", ("y",), tuple(str(name) for name in self.classes_)))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class (N, C), in the order of `classes_`."""
        return self._answer(X)[0]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every sequence (N,)."""
        found, bad = self._answer(X)
        best = self.classes_[np.where(bad[:, None], 0, found).argmax(1)]
        if not bad.any():
            return best
        best = best.astype(object)
        best[bad] = None
        return best
