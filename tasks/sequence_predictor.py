"""What SequenceRegressor and SequenceClassifier share: a frozen model, its embeddings, and a head solved for."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.tasks.assay.labels import LARGEST
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

        from bio_xlstm.tasks.finetune.closed_form import Frozen, fit_head, fit_plain
        from bio_xlstm.tasks.finetune.folds import deal_folds
        from bio_xlstm.tasks.finetune.views.choose import make_views

        self._check()
        texts = list(as_texts(X))
        if len(texts) != len(values):
            raise SequenceError(f"there are {len(texts)} sequences, but {len(values)} values")
        wrong = np.argwhere(np.abs(values) > LARGEST)
        if len(wrong):
            row, place = wrong[0].tolist()
            raise SequenceError(f"value {row} is {values[row, place]:g}: that is no number to compute with")
        ids = readable_ids(self._loaded(), texts, self.invalid)
        rows = np.array(
            [len(one) > 0 and not np.isnan(v).all() for one, v in zip(ids, values, strict=True)], bool
        )
        if rows.sum() < 2:
            raise SequenceError(
                f"{int(rows.sum())} sequences can be read and have a value; at least 2 are needed"
            )
        features, model = self._features(), self._loaded()
        good = [ids[row] for row in np.flatnonzero(rows)]
        points = torch.from_numpy(self._embed(good, features))
        views = make_views(model, good, self.random_state) if self.head == "auto" else ()
        described = {view.name: torch.from_numpy(view.describe(model, good)) for view in views}
        folds = deal_folds(np.array([str(text) for text in texts])[rows], seed=self.random_state)
        data = Frozen(points, values[rows], folds, features, model.config.dim, described)
        balanced, seed = self.class_weights == "balanced", self.random_state
        fitted, chosen = fit_head(data, task, curve=self.head, balanced=balanced, seed=seed)
        self.task_, self.head_, self.chosen_ = task, fitted, chosen
        self.plain_head_ = fit_plain(data, task, chosen, balanced=balanced, seed=seed)
        self.features_ = features._replace(layers=chosen.candidate.layers)
        self.views_ = tuple(view for name, _ in chosen.views for view in views if view.name == name)

    def _answer(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return what the head says (N, O), NaN for sequences that cannot be read, and which those are (N,)."""
        from bio_xlstm.tasks.finetune.member import Member

        if not hasattr(self, "head_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")
        check_choice("invalid", self.invalid, INVALID)
        ids = readable_ids(self._loaded(), list(as_texts(X)), self.invalid)
        good = np.array([len(one) > 0 for one in ids], bool)
        found = np.full((len(ids), self.task_.outputs), np.nan)
        if good.any():
            member = Member(
                self._loaded(), self.features_, self.head_, views=self.views_, plain=self.plain_head_
            )
            some = [ids[row] for row in np.flatnonzero(good)]
            found[good] = member.answer(some, self.batch_tokens).predicted
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
        from bio_xlstm.tasks.choices import parse_layers
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
