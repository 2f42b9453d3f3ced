"""What InContextRegressor and InContextClassifier share: a learner, and the state that it made of a support."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.directory import DEFAULT
from bio_xlstm.in_context.learner import Learner
from bio_xlstm.tasks.assay.assay import Issue
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.choices import check_choice
from bio_xlstm.tasks.evaluate.facts import read
from bio_xlstm.tasks.in_context.answering import Answers, Assay
from bio_xlstm.tasks.in_context.build import build_assay
from bio_xlstm.tasks.in_context.columns import columns
from bio_xlstm.tasks.in_context.compute import lay_out, say_of
from bio_xlstm.tasks.in_context.repeats import Example, called
from bio_xlstm.tasks.in_context.request import COVERAGE
from bio_xlstm.tasks.in_context.spelling import encode
from bio_xlstm.tasks.in_context.support import Support, make_support
from bio_xlstm.tasks.in_context.trust import check_coverage
from bio_xlstm.tasks.readable import INVALID, LoadedModel, as_texts, examine, readable_ids
from bio_xlstm.tasks.writing import writing
from bio_xlstm.tokenizers.tokenizer import counted

_SOURCE = "fit"
# rows left out that warnings name one by one
_SHOWN = 5


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

    @classmethod
    def from_state(
        cls,
        path: str | os.PathLike[str],
        model: str | os.PathLike[str] | Learner | None = None,
        **options: Any,
    ) -> Self:
        """Return a fitted estimator of the state that `save_state`, or `bioxlstm state build --support`, wrote.

        `model` is the learner that made it, where that is no bundled one; `options` are those of the estimator.
        ModelError where the file is no such state, or the learner another.
        """
        from bio_xlstm.tasks.in_context.learners import learner_for_state

        made = cls(learner_for_state(str(path)) if model is None else model, **options)
        made._take(AssayState.load(Path(path)), str(path))
        return made

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Write what was fitted to a file of bounded size, for `from_state` and `bioxlstm predict --state`."""
        state = self._assay().state
        with writing(Path(path)):
            state.save(Path(path))

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

    def details(self, X: Any, *, points: Any = None, coverage: float = COVERAGE) -> dict[str, np.ndarray]:
        """Return all that `bioxlstm predict` writes of sequences (N,): columns (N,) by name, as a DataFrame takes them.

        Classes: `predicted`, `probability`, `prior` (the same without the support); numbers: `predicted`, and `lower`
        and `upper` of the interval with this coverage. Both: `spread` between states without a part of the support,
        `nearest` example, `similarity` to it, and `in_domain`, whether that is usual. NaN or None where there is
        nothing to say. `points` (N, W) are those of the sequences, where they are encoded already.
        """
        import torch

        assay = self._assay()
        check_coverage(coverage, "coverage")
        texts, good = self._readable(X)
        if points is None:
            some = encode(assay.learner, texts, batch_tokens=self.batch_tokens)
        else:
            given = self._checked(points)
            if len(given) != len(good):
                raise SequenceError(f"there are {len(good)} sequences, but points of {len(given)}")
            some = torch.from_numpy(given[good])
        said = iter(say_of(assay, assay.intervals(coverage), some, texts))
        return columns(assay, lay_out([next(said) if one else None for one in good]).values)

    def _fit(self, X: Any, values: Sequence[tuple[float, int]], task: Task) -> None:
        """Read sequences (N,) with values and relations (N); NaN is a value that was not measured."""
        given = list(as_texts(X))
        texts, good = self._readable(given)
        kind = self._learner().kind
        if len(good) != len(values):
            raise SequenceError(f"there are {len(good)} sequences, but {len(values)} values")
        examples = [
            Example(
                read(text).canonical if kind == "smiles" else text,
                text,
                called(row, given[row].strip(), kind),
                row,
                *values[row],
            )
            for text, row in zip(texts, np.flatnonzero(good).tolist(), strict=True)
            if not np.isnan(values[row][0])
        ]
        issues = self._unreadable(given, good)
        support = make_support(examples, task, issues=issues, notes=[], source=_SOURCE, kind=kind)
        _warn(support)
        self.state_: AssayState = build_assay(self._learner(), support, batch_tokens=self.batch_tokens)
        self.n_examples_ = len(support)

    def _take(self, state: AssayState, source: str) -> None:
        """Take a state for what was fitted; ModelError where it is another learner's, or predicts something else."""
        numeric = Assay(self._learner(), state).task.numeric
        if numeric != self._numeric:
            what, other = ("numbers", "InContextRegressor") if numeric else ("classes", "InContextClassifier")
            raise ModelError(f"{source} predicts {what}: {other}.from_state reads it")
        self.state_ = state
        self.n_examples_ = int(state.facts["examples"])

    @property
    def _numeric(self) -> bool:
        """Tell whether numbers are predicted."""
        raise NotImplementedError

    def _answer(self, points: Any) -> Answers:
        """Answer points (N, W)."""
        import torch

        given = self._checked(points)
        found = self._assay().answer(torch.from_numpy(given), spread=False)
        unread = ~given.any(1)
        return Answers(*(np.where(unread, np.nan, column) for column in found))

    def _checked(self, points: Any) -> np.ndarray:
        """Return points (N, W) as they are computed with; SequenceError where they are none."""
        given, width = np.asarray(points), self._learner().width
        if given.ndim != 2 or given.shape[1] != width or given.dtype != np.uint8:
            raise SequenceError(
                f"points must be bytes (uint8) of shape (N, {width}), as points() gives them, not {given.dtype} of "
                f"shape {given.shape}"
            )
        return given.copy()

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

    def _unreadable(self, texts: Sequence[Any], good: np.ndarray) -> list[Issue]:
        """Say why the other ones cannot be read."""
        model = self._learner().language_model
        rows = np.flatnonzero(~good).tolist()
        return [Issue(row, *examine(model, texts[row])[1:]) for row in rows]

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


def _warn(support: Support) -> None:
    """Say which rows are left out, and what else was decided."""
    lines = []
    for row, status, detail in support.issues[:_SHOWN]:
        lines.append(f"row {row} is left out: {detail if status == 'error' else f'{status}: {detail}'}")
    if len(support.issues) > _SHOWN:
        more = len(support.issues) - _SHOWN
        lines.append(f"{counted(more, 'more row')} {'is' if more == 1 else 'are'} left out")
    for line in (*lines, *support.notes):
        # to the caller of fit
        warnings.warn(line, UserWarning, stacklevel=4)
