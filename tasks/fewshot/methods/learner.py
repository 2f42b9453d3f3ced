"""Our learner, in context: with the support, with nothing but its prior, and with permuted labels."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bio_xlstm.tasks.fewshot.methods.question import Question

if TYPE_CHECKING:
    from bio_xlstm.in_context.model import Answer, InContextModel, SetState
    from bio_xlstm.in_context.points import Points

# queries answered at a time, of all supports together
QUERIES = 8192


class Read(NamedTuple):
    """Hold the states of S supports, the learner that made them, and M queries of each."""

    learner: "InContextModel"
    state: "SetState"
    points: "Points"  # (S, M)


def in_context(question: Question) -> np.ndarray:
    """Predict (S, M) log-odds of the positive class, or numbers."""
    return np.concatenate([answer.value.numpy() for answer in answers(question)], 1)


def prior(question: Question) -> np.ndarray:
    """Predict the same without the support: what is often positive in any assay."""
    return np.concatenate([answer.prior.numpy() for answer in answers(question)], 1)


def similarity(question: Question) -> np.ndarray:
    """Predict (S, M) by the Gaussian process inside the learner alone: nothing of it was learned from other assays."""
    import torch

    with torch.no_grad():
        found = [
            learner.process(points.prints, state.process).value.numpy()
            for learner, state, points in read(question)
        ]
    values = np.concatenate(found, 1)
    if not question.numeric:
        return values
    middle, scale = question.values.mean(1), question.values.std(1)
    return values * scale[:, None] + middle[:, None]


def permuted(question: Question) -> np.ndarray:
    """Predict from supports whose labels have changed places."""
    orders = [
        np.random.default_rng([seed, 1]).permutation(question.support.shape[1]) for seed in question.seeds
    ]
    values, relations = (
        np.take_along_axis(column, np.stack(orders), 1) for column in (question.values, question.relations)
    )
    return in_context(question._replace(values=values, relations=relations))


def answers(question: Question) -> Iterator["Answer"]:
    """Yield what the learner says of some queries (S, up to so many) after the other."""
    import torch

    with torch.no_grad():
        for learner, state, points in read(question):
            yield learner.answer(points, state)


def read(question: Question) -> Iterator["Read"]:
    """Read the supports, and yield some queries after the other beside the states."""
    import torch

    from bio_xlstm.in_context.labels import Labels

    library, learner = question.library, question.library.learner
    assert learner is not None
    values = torch.from_numpy(question.values)
    with torch.no_grad():
        support = torch.from_numpy(library.points(question.support))  # (S, N, W)
        bounds = torch.from_numpy(question.relations)
        labels = Labels.of_numbers(values, bounds) if question.numeric else Labels.of_classes(values)
        state = learner.read_support(support, labels)
        step = max(1, QUERIES // len(values))
        for begin in range(0, question.queries.shape[1], step):
            some = library.points(question.queries[:, begin : begin + step])
            yield Read(learner, state, learner.opened(torch.from_numpy(some)))
