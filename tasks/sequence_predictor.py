"""What SequenceRegressor and SequenceClassifier share: a frozen model, its embeddings, and a head solved for."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.choices import POOLS, check_choice
from bio_xlstm.tasks.finetune.words import HEADS, WEIGHTINGS
from bio_xlstm.tasks.readable import INVALID, LoadedModel, as_texts, readable_ids

if TYPE_CHECKING:
    from bio_xlstm.heads.features import Features


class SequencePredictor(LoadedModel, BaseEstimator):
    """Keep the parameters and do the work; what it fits ends in an underscore."""

    def __init__(
        self,
        model: Any = "protein-small",
        *,
        pool: str = "mean",
        layers: str = "auto",
        head: str = "auto",
        class_weights: str = "none",
        batch_tokens: int = 8192,
        invalid: str = "raise",
        random_state: int = 0,
        device: str = "cpu",
    ) -> None:
        self.model = model
        self.pool = pool
        self.layers = layers
        self.head = head
        self.class_weights = class_weights
        self.batch_tokens = batch_tokens
        self.invalid = invalid
        self.random_state = random_state
        self.device = device

    def _fit(self, X: Any, values: np.ndarray, task: Task) -> None:
        """Solve for the head on sequences (N,) and values (N, T); NaN is a value that was not measured."""
        import torch

        from bio_xlstm.tasks.finetune.closed_form import Frozen, fit_head
        from bio_xlstm.tasks.finetune.folds import deal_folds

        self._check()
        texts = list(as_texts(X))
        if len(texts) != len(values):
            raise SequenceError(f"there are {len(texts)} sequences, but {len(values)} values")
        ids = readable_ids(self._loaded(), texts, self.invalid)
        rows = np.array(
            [len(one) > 0 and not np.isnan(v).all() for one, v in zip(ids, values, strict=True)], bool
        )
        if rows.sum() < 2:
            raise SequenceError(
                f"{int(rows.sum())} sequences can be read and have a value; at least 2 are needed"
            )
        features = self._features()
        points = torch.from_numpy(self._embed([ids[row] for row in np.flatnonzero(rows)], features))
        folds = deal_folds(np.array([str(text) for text in texts])[rows], seed=self.random_state)
        data = Frozen(points, values[rows], folds, features, self._loaded().config.dim)
        fitted, chosen = fit_head(
            data, task, curve=self.head, balanced=self.class_weights == "balanced", seed=self.random_state
        )
        self.task_, self.head_, self.chosen_ = task, fitted, chosen
        self.features_ = features._replace(layers=chosen.candidate.layers)

    def _answer(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return what the head says (N, O), NaN for sequences that cannot be read, and which those are (N,)."""
        import torch

        if not hasattr(self, "head_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")
        check_choice("invalid", self.invalid, INVALID)
        ids = readable_ids(self._loaded(), list(as_texts(X)), self.invalid)
        good = np.array([len(one) > 0 for one in ids], bool)
        found = np.full((len(ids), self.task_.outputs), np.nan)
        if good.any():
            points = self._embed([ids[row] for row in np.flatnonzero(good)], self.features_)
            found[good] = self.head_.predict(torch.from_numpy(points)).double().numpy()
        return found, ~good

    def _check(self) -> None:
        """Refuse parameters that mean nothing."""
        check_choice("invalid", self.invalid, INVALID)
        check_choice("pool", self.pool, POOLS)
        check_choice("head", self.head, HEADS)
        check_choice("class_weights", self.class_weights, WEIGHTINGS)
        if self.pool == "none":
            raise ConfigError("pool='none' gives no table; use mean, last, first or max")

    def _features(self) -> "Features":
        """Return what the head may see."""
        from bio_xlstm.heads.features import Features
        from bio_xlstm.tasks.embed.request import parse_layers
        from bio_xlstm.tasks.finetune.candidates import auto_layers

        model = self._loaded()
        if self.layers == "auto":
            return Features(auto_layers(model.layer_count), (self.pool,))
        written = parse_layers(str(self.layers), model.layer_count)
        return Features(tuple(sorted({model.layer_index(int(one)) for one in written})), (self.pool,))

    def _embed(self, ids: list[np.ndarray], features: "Features") -> np.ndarray:
        """Return the features (N, F) of sequences."""
        from bio_xlstm.heads.features import embed_features

        return np.stack(embed_features(self._loaded(), ids, features, batch_tokens=self.batch_tokens))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the input is text."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
