"""Token ids to scores: what the model says, and what the null model says of the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bio_xlstm.context import on_device
from bio_xlstm.scoring import Score, is_masked, score_batch
from bio_xlstm.state import ModelState
from bio_xlstm.tasks.files.worker import Worker
from bio_xlstm.tasks.score.null import Null


class Scored(NamedTuple):
    """Hold what a model and the null model say of one sequence."""

    ids: np.ndarray  # (T,)
    score: Score
    null: float | None = None  # log-likelihood in nats


@dataclass(frozen=True, kw_only=True)
class Scorer(Worker[Scored]):
    """Score sequences with fixed options."""

    direction: str
    rc: str
    stride: int
    state: ModelState | None = None
    null: Null | None = None

    @property
    def in_windows(self) -> bool:
        """Tell whether sequences longer than the budget are read in windows."""
        return is_masked(self.model)

    def run(self, sequences: Sequence[np.ndarray], budget: int) -> list[Scored]:
        """Score sequences with at most `budget` tokens at once."""
        scores = self.scores(sequences, budget)
        nulls = [None] * len(scores) if self.null is None else self.null(self, sequences, budget)
        return [Scored(*one) for one in zip(sequences, scores, nulls, strict=True)]

    def scores(self, sequences: Sequence[np.ndarray], budget: int) -> list[Score]:
        """Ask the model alone."""
        return score_batch(
            self.model,
            sequences,
            direction=self.direction,
            rc=self.rc,
            stride=self.stride,
            state=None if self.state is None else on_device(self.state, self.model.device),
            batch_tokens=budget,
        )
