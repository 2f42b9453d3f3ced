"""Token ids to predictions, and how far each can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.files.worker import Worker
from bio_xlstm.tasks.finetune.columns import numbers_of
from bio_xlstm.tasks.finetune.directory import Finetuned


class Said(NamedTuple):
    """Hold what is said of one sequence."""

    predicted: np.ndarray  # (O,), or the class of every letter (L,)
    low: np.ndarray  # (T,) or empty
    high: np.ndarray
    uncertainty: np.ndarray
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Predictor(Worker[Said]):
    """Predict with a fine-tuned model."""

    tuned: Finetuned

    def run(self, sequences: Sequence[np.ndarray], budget: int) -> list[Said]:
        """Predict for sequences with at most `budget` tokens at once."""
        answers = self.tuned.answer(sequences, budget)
        texts = [self.model.tokenizer.decode(ids) for ids in sequences]
        tuned, ends = self.tuned, self.tuned.trust.interval(answers)
        numbers = numbers_of(tuned.task, answers, ends, tuned.domain, texts)
        predicted: Sequence[np.ndarray] = list(numbers.predicted)
        if self.tuned.task.name == "per_token":
            predicted = np.split(numbers.predicted, np.cumsum(numbers.counts)[:-1])
        rows = zip(
            predicted,
            numbers.low,
            numbers.high,
            numbers.uncertainty,
            numbers.similarity.tolist(),
            strict=True,
        )
        return [Said(*row) for row in rows]
