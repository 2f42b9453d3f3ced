"""The methods by name."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.fewshot.chances import as_they_are, calibrated, of_log_odds
from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.methods.forest import LEAVES, TREES, forest
from bio_xlstm.tasks.fewshot.methods.gaussian_process import gaussian_process
from bio_xlstm.tasks.fewshot.methods.learner import in_context, permuted, prior, similarity
from bio_xlstm.tasks.fewshot.methods.linear import FOLDS, linear
from bio_xlstm.tasks.fewshot.methods.neighbours import COUNTS, neighbours
from bio_xlstm.tasks.fewshot.methods.prototypes import prototypes
from bio_xlstm.tasks.fewshot.methods.question import One, Question


class Method(NamedTuple):
    """Predict scores (S, M) for a question; the higher, the more likely positive."""

    words: str
    predict: Callable[[Question], np.ndarray]
    needs: tuple[str, ...]
    """the descriptions of molecules that it reads"""
    learns: bool = False
    """needs our learner"""
    numeric: bool = True
    """predicts numbers too"""
    sure: bool = False
    """has intervals around numbers"""
    chances: Callable[[Question, np.ndarray], np.ndarray] | None = None
    """make probabilities (S, M) of the scores; None where they mean none"""


def one_by_one(predict: Callable[[Library, One], np.ndarray]) -> Callable[[Question], np.ndarray]:
    """Ask a method that knows one support for every one of a question."""
    return lambda question: np.stack([predict(question.library, one) for one in question.each()])


METHODS = {
    "in-context": Method(
        "our learner, in context", in_context, ("points",), learns=True, sure=True, chances=calibrated
    ),
    "prior": Method(
        "our learner without the support: what is often positive anywhere", prior, ("points",), learns=True
    ),
    "permuted": Method("our learner, the labels of the support permuted", permuted, ("points",), learns=True),
    "similarity": Method(
        "the Gaussian process inside our learner alone, without what was learned",
        similarity,
        ("points",),
        learns=True,
    ),
    "forest": Method(
        f"random forest of {TREES} trees on Morgan bits (radius 2, 2,048), smallest leaf of {LEAVES} out of bag",
        one_by_one(forest),
        ("bits",),
        chances=as_they_are,
    ),
    "neighbours": Method(
        f"nearest neighbours by Tanimoto similarity, how many of {COUNTS} by leaving one out",
        one_by_one(neighbours),
        ("bits",),
        chances=as_they_are,
    ),
    "linear": Method(
        f"logistic regression (numbers: ridge) on mean embeddings, penalty by {FOLDS}-fold cross-validation",
        one_by_one(linear),
        ("embeddings",),
        chances=of_log_odds,
    ),
    "prototypes": Method(
        "distances of mean embeddings to the means of the classes, shrunken covariances",
        one_by_one(prototypes),
        ("embeddings",),
        numeric=False,
    ),
    "gaussian-process": Method(
        "Gaussian process with the Tanimoto kernel, noise by marginal likelihood, classes as -1 and 1",
        one_by_one(gaussian_process),
        ("bits",),
    ),
}
