"""Probabilities that are judged are those that users get."""

import numpy as np
import pytest

from bio_xlstm.in_context.directory import load_in_context
from bio_xlstm.tasks.assay.metrics.binary import log_loss
from bio_xlstm.tasks.estimators import InContextClassifier
from bio_xlstm.tasks.fewshot.assay import Assay
from bio_xlstm.tasks.fewshot.chances import calibrated, of_log_odds
from bio_xlstm.tasks.fewshot.draws import Draws
from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.measure import _believed
from bio_xlstm.tasks.fewshot.methods.learner import in_context
from bio_xlstm.tasks.fewshot.methods.question import Question

SMILES = [f"{'C' * size}{end}" for size in range(1, 11) for end in ("O", "N", "c1ccccc1", "S")]


def test_ours_are_those_of_predict(learner: str) -> None:
    """Calibration included: the supports are large enough for one."""
    model = load_in_context(learner)
    library = Library(SMILES, lambda: model.language_model, model)
    support = np.stack([np.random.default_rng(seed).permutation(40)[:24] for seed in range(2)])
    queries = np.stack([np.setdiff1d(np.arange(40), one) for one in support])
    values = (support % 4 == 2).astype(float)
    question = Question(library, support, values, np.zeros_like(support), queries, range(2), numeric=False)
    found = calibrated(question, in_context(question))
    for place in range(2):
        fitted = InContextClassifier(model).fit([SMILES[row] for row in support[place]], values[place])
        wanted = fitted.predict_proba([SMILES[row] for row in queries[place]])[:, 1]
        np.testing.assert_allclose(found[place], wanted, rtol=1e-4)


def test_saying_the_share_is_one() -> None:
    """What is no better than the share of positives in the support has a log loss of once that; certainty of less."""
    values = np.array([1.0, 0, 0, 0, 1, 0, 0, 1])
    every = np.ones(8, bool)
    assay = Assay("A", np.arange(8), values, np.zeros(8, np.int8), every, every, ~every)
    draws = Draws(np.array([[0, 1, 2, 3]]), np.array([[4, 5, 6, 7]]))
    constant = _believed(assay, draws, np.full((1, 4), 0.25))
    assert constant["log_loss_of_share"] == [1]
    assert constant["log_loss"] == [pytest.approx(log_loss(values[4:], np.full(4, 0.25)))]
    assert constant["ece"] == [pytest.approx(0.25)] and constant["brier"] == [pytest.approx(0.3125)]
    sure = _believed(assay, draws, of_log_odds(None, np.array([[3.0, -3, -3, 3]])))
    assert sure["log_loss_of_share"][0] < 0.1
