"""scikit-learn estimators around the models."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.tasks.choices import POOLS, RC, check_choice

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

INVALID = ("raise", "nan")


class SequenceEmbedder(TransformerMixin, BaseEstimator):
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
        ids = [self._read(model, index, text) for index, text in enumerate(as_texts(X))]
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

    def _read(self, model: "SequenceModel", index: int, text: Any) -> np.ndarray:
        """Return the ids of a sequence, none when it cannot be read and that is allowed."""
        prepared = model.tokenizer.prepare(text if isinstance(text, str) else "")
        status, detail = prepared.status, prepared.detail
        if not isinstance(text, str) and not is_missing(text):
            status, detail = "error", f"{text!r} is not a string"
        elif status in ("ok", "cleaned") and model.kind == "smiles":
            from bio_xlstm.records.chemistry import parse_reason

            reason = parse_reason(model.tokenizer.decode(prepared.ids))
            if reason is None:
                return prepared.ids
            status, detail = "invalid_smiles", reason
        if status in ("ok", "cleaned"):
            return prepared.ids
        if self.invalid == "raise":
            raise SequenceError(f"sequence {index}: {status}: {detail}")
        return prepared.ids[:0]

    def _loaded(self) -> "SequenceModel":
        """Return the model, loaded once; clones and pickles carry the name alone."""
        if not isinstance(self.model, str | os.PathLike):
            return self.model
        held = self.__dict__.get("_held")
        if held is None or held[0] != (self.model, self.device):
            from bio_xlstm.models.directory import load

            held = (self.model, self.device), load(os.fspath(self.model), device=self.device)
            self.__dict__["_held"] = held
        loaded: SequenceModel = held[1]
        return loaded

    def __getstate__(self) -> dict[str, Any]:
        """Leave the loaded weights out of pickles."""
        state = dict(super().__getstate__())
        state.pop("_held", None)
        return state

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


def is_missing(value: Any) -> bool:
    """Tell whether a cell holds None, NaN, or the NA of pandas."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # NA refuses to be true or false
        return True
    except ValueError:  # an array of several values
        return False


def as_texts(X: Any) -> Iterable[Any]:
    """Return the strings of a list, Series, array (N,) or one-column table (N, 1)."""
    if isinstance(X, str):
        raise SequenceError("give a list of sequences, not one string")
    array = np.asarray(X, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise SequenceError(f"sequences must come as one column, not as an array of shape {array.shape}")
    return list(array)
