"""Intervals of our learner, made of every support as `predict --support` makes them."""

import numpy as np

from bio_xlstm.tasks.fewshot.methods.learner import answers
from bio_xlstm.tasks.fewshot.methods.question import Question


def intervals(question: Question, coverage: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper ends (S, M) each, NaN where a support is too small for the coverage."""
    from bio_xlstm.tasks.in_context.trust import Intervals

    found = list(answers(question))
    values, leverages = (
        np.concatenate([getattr(answer, name).numpy() for answer in found], 1)
        for name in ("value", "leverage")
    )
    ends = [
        Intervals.of(_missed(question, place), coverage)(values[place], leverages[place])
        for place in range(len(values))
    ]
    lower, upper = (np.stack(some) for some in zip(*ends, strict=True))
    return lower, upper


def _missed(question: Question, place: int) -> np.ndarray:
    """Return how far the learner misses every example of one support without it (N,)."""
    import torch

    from bio_xlstm.tasks.assay.task import Task
    from bio_xlstm.tasks.in_context.left_out import answer_left_out
    from bio_xlstm.tasks.in_context.support import Support
    from bio_xlstm.tasks.in_context.trust import residuals

    library, rows = question.library, question.support[place]
    assert library.learner is not None
    smiles = [library.smiles[row] for row in rows.tolist()]
    support = Support(
        source="",
        names=smiles,
        sequences=smiles,
        canonical=smiles,
        values=question.values[place],
        relations=question.relations[place],
        task=Task("regression", ("value",)),
        issues=[],
        notes=[],
    )
    points = torch.from_numpy(library.points(rows))
    return residuals(support, answer_left_out(library.learner, points, support))
