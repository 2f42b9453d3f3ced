"""An assay state together with the learner that made it: what is asked for predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.errors import ModelError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.learner import Learner, LearnerState
from bio_xlstm.tasks.assay.domain import Domain
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.in_context.set_states import selected
from bio_xlstm.tasks.in_context.trust import PLAIN, Calibration, Intervals

# queries that are answered at once
ANSWERED_AT_ONCE = 1024


class Answers(NamedTuple):
    """Hold what is said of M queries; for classes, of the positive one."""

    predicted: np.ndarray  # (M,) probability, or number
    prior: np.ndarray  # (M,) the same without the support: what is often positive anywhere
    leverage: np.ndarray  # (M,)
    spread: (
        np.ndarray
    )  # (M,) deviation between states without one part of the support each, NaN where there are none


class Near(NamedTuple):
    """Hold what of a support is nearest to M queries."""

    similarity: np.ndarray  # (M,) as the domain of the kind measures it, NaN for a query without fingerprint
    which: np.ndarray  # (M,) int64, -1 there


@dataclass(frozen=True)
class Assay:
    """Answer queries from a state; ModelError refuses a state of another learner."""

    learner: Learner
    state: AssayState

    def __post_init__(self) -> None:
        """Compare the weights; look for what a state of this version holds."""
        self.state.refuse_other(self.learner.weight_hash(), self.learner.name)
        missing = {"task", "target", "classes", "names", "calibration", "threshold"} - self.state.facts.keys()
        missing |= {"prints", "residuals"} - self.state.tables.keys()
        if missing:
            raise ModelError(f"the assay state lacks {sorted(missing)[0]!r}; build it again")

    @cached_property
    def task(self) -> Task:
        """Return what is predicted."""
        facts = self.state.facts
        return Task(facts["task"], (facts["target"],), tuple(facts["classes"]))

    @property
    def names(self) -> Sequence[str]:
        """Return the names of the examples whose fingerprints the state keeps."""
        names: Sequence[str] = self.state.facts["names"]
        return names

    @cached_property
    def domain(self) -> Domain:
        """Return the fingerprints of the examples."""
        prints = self.state.tables["prints"].numpy()
        return Domain(self.learner.kind, prints, float(self.state.facts["threshold"]))

    @cached_property
    def whole(self) -> LearnerState:
        """Return the state of the whole support."""
        return selected(self.state.states, slice(0, 1))

    @cached_property
    def calibration(self) -> Calibration:
        """Return what turns log-odds into probabilities."""
        return Calibration(**self.state.facts["calibration"])

    def intervals(self, coverage: float) -> Intervals:
        """Return what makes intervals that hold a value with this probability; ConfigError for a coverage of none."""
        return Intervals.of(self.state.tables["residuals"].numpy(), coverage)

    def nearest(self, sequences: Sequence[str]) -> Near:
        """Look for the nearest examples of sequences."""
        return Near(*self.domain.nearest(sequences))

    def answer(self, points: Tensor, *, spread: bool = True) -> Answers:
        """Answer query points (M, W), some at a time; queries do not see each other."""
        found = [self._answer(some, spread) for some in points.split(ANSWERED_AT_ONCE) if len(some)] or [
            Answers(*(np.zeros(0) for _ in Answers._fields))
        ]
        return Answers(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    @torch.inference_mode()
    def _answer(self, points: Tensor, spread: bool) -> Answers:
        # one row of queries for all states: what they have in common is computed once
        found = self.learner.answer(points[None], self.state.states if spread else self.whole)
        values, prior = found.value.double().numpy(), found.prior[0].double().numpy()  # (B, M) and (M,)
        if not self.task.numeric:
            values, prior = self.calibration(values), PLAIN(prior)
        parts = values[1:]
        between = parts.std(0) if len(parts) else np.full(values.shape[1], np.nan)
        return Answers(values[0], prior, found.leverage[0].double().numpy(), between)
