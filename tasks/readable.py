"""Sequences as scikit-learn hands them over, and the model that reads them."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bio_xlstm.errors import SequenceError

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

INVALID = ("raise", "nan")


class LoadedModel:
    """Load the model of an estimator once; clones and pickles carry its name alone. A part of estimators."""

    model: Any
    device: str

    def _loaded(self) -> Any:
        """Return the model."""
        if not isinstance(self.model, str | os.PathLike):
            return self.model
        held = self.__dict__.get("_held")
        if held is None or held[0] != (self.model, self.device):
            held = (self.model, self.device), self._open(os.fspath(self.model))
            self.__dict__["_held"] = held
        return held[1]

    def _open(self, name: str) -> Any:
        """Load the model of a name: a language model, where an estimator does not say otherwise."""
        from bio_xlstm.models.directory import load

        return load(name, device=self.device)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the loaded weights out of pickles."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        state.pop("_held", None)
        return state


def readable_ids(model: "SequenceModel", texts: Sequence[Any], invalid: str) -> list[np.ndarray]:
    """Return the token ids of sequences, none for those that cannot be read; with "raise", SequenceError names one."""
    return [read_one(model, index, text, invalid) for index, text in enumerate(texts)]


def read_one(model: "SequenceModel", index: int, text: Any, invalid: str) -> np.ndarray:
    """Return the ids of a sequence, none when it cannot be read and that is allowed."""
    found = examine(model, text)
    if found.status not in ("ok", "cleaned") and invalid == "raise":
        raise SequenceError(f"sequence {index}: {found.status}: {found.detail}")
    return found.ids


class Examined(NamedTuple):
    """Hold the token ids of a sequence; none, the status and the reason where it cannot be read."""

    ids: np.ndarray
    status: str
    detail: str


def examine(model: "SequenceModel", text: Any) -> Examined:
    """Read a sequence, or say why it cannot be read."""
    prepared = model.tokenizer.prepare(text if isinstance(text, str) else "")
    status, detail = prepared.status, prepared.detail
    if not isinstance(text, str) and not is_missing(text):
        status, detail = "error", f"{text!r} is not a string"
    elif status in ("ok", "cleaned") and model.kind == "smiles":
        from bio_xlstm.records.chemistry import parse_reason

        reason = parse_reason(model.tokenizer.decode(prepared.ids))
        if reason is not None:
            status, detail = "invalid_smiles", reason
    return Examined(prepared.ids if status in ("ok", "cleaned") else prepared.ids[:0], status, detail)


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


def known_classes(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes (C,) among labels (N,), in order, and for every label the number of its class (N,).

    None, NaN, the NA of pandas and empty text are no class: their number is NaN.
    """
    labels = np.asarray(y, object)
    blank = [isinstance(label, str) and not label.strip() for label in labels]
    known = np.array([not is_missing(label) for label in labels], bool) & ~np.array(blank, bool)
    # None and NaN make an array of objects, or of texts, of what is none
    present = np.asarray(y) if known.all() else np.array(labels[known].tolist())
    try:
        classes, found = np.unique(present, return_inverse=True)
    except TypeError:
        raise SequenceError("classes must be of one type, so that they can be put in order") from None
    numbers = np.full(len(labels), np.nan)
    numbers[known] = found
    return classes, numbers


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
