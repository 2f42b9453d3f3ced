"""Probabilities of the positive class: what methods say as such, ours as `predict --support` says it."""

import numpy as np

from bio_xlstm.tasks.fewshot.methods.question import Question
from bio_xlstm.tasks.fewshot.supports import left_out


def calibrated(question: Question, scores: np.ndarray) -> np.ndarray:
    """Return the probabilities (S, M) of our learner's log-odds, by what each support says of its own examples."""
    from bio_xlstm.tasks.in_context.trust import Calibration

    fitted = [Calibration.fit(*left_out(question, place)) for place in range(len(scores))]
    return np.stack([calibration(odds) for calibration, odds in zip(fitted, scores, strict=True)])


def of_log_odds(question: Question, scores: np.ndarray) -> np.ndarray:
    """Return the probabilities of log-odds (S, M)."""
    from scipy.special import expit

    found: np.ndarray = expit(scores)
    return found


def as_they_are(question: Question, scores: np.ndarray) -> np.ndarray:
    """Return scores (S, M) that are probabilities."""
    return scores
