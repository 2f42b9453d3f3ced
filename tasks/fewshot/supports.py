"""A drawn support as `predict --support` has it, and what our learner says of its examples without them."""

from typing import TYPE_CHECKING

from bio_xlstm.tasks.fewshot.methods.question import Question

if TYPE_CHECKING:
    from bio_xlstm.tasks.in_context.left_out import LeftOut
    from bio_xlstm.tasks.in_context.support import Support


def left_out(question: Question, place: int) -> tuple["Support", "LeftOut"]:
    """Return one of the supports of a question, and what our learner says of every example without it."""
    import torch

    from bio_xlstm.tasks.in_context.left_out import answer_left_out

    learner = question.library.learner
    assert learner is not None
    support = as_support(question, place)
    points = torch.from_numpy(question.library.points(question.support[place]))
    return support, answer_left_out(learner, points, support)


def as_support(question: Question, place: int) -> "Support":
    """Return one of the supports of a question."""
    from bio_xlstm.tasks.assay.task import Task
    from bio_xlstm.tasks.in_context.support import Support

    rows = question.support[place]
    smiles = [question.library.smiles[row] for row in rows.tolist()]
    task = Task("regression", ("value",)) if question.numeric else Task("binary", ("value",), ("0", "1"))
    return Support(
        source="",
        names=smiles,
        sequences=smiles,
        canonical=smiles,
        values=question.values[place],
        relations=question.relations[place],
        task=task,
        issues=[],
        notes=[],
    )
