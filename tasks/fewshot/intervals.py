"""Intervals of our learner, made of every support as `predict --support` makes them."""

import numpy as np

from bio_xlstm.tasks.fewshot.methods.learner import answers
from bio_xlstm.tasks.fewshot.methods.question import Question
from bio_xlstm.tasks.fewshot.supports import left_out


def intervals(question: Question, coverage: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper ends (S, M) each, NaN where a support is too small for the coverage."""
    from bio_xlstm.tasks.in_context.trust import Intervals, residuals

    found = list(answers(question))
    values, leverages = (
        np.concatenate([getattr(answer, name).numpy() for answer in found], 1)
        for name in ("value", "leverage")
    )
    ends = [
        Intervals.of(residuals(*left_out(question, place)), coverage)(values[place], leverages[place])
        for place in range(len(values))
    ]
    lower, upper = (np.stack(some) for some in zip(*ends, strict=True))
    return lower, upper
