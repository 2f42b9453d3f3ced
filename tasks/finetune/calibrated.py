"""Answers as they are written and judged: none of them is calibrated on its own measured value."""

from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.finetune.answers import Answers, put
from bio_xlstm.tasks.finetune.plan import Plan
from bio_xlstm.tasks.finetune.trust import LEAST, Ends, Trust


class Calibrated(NamedTuple):
    """Hold what is said of all usable sequences, and the calibration for those to come."""

    trust: Trust
    answers: Answers
    ends: Ends | None
    """of intervals; NaN where there is none to promise, as for sequences that were trained on"""
    words: str
    """on what was calibrated, or why nothing was; empty where there is nothing to calibrate"""


def calibrate(plan: Plan, answers: Answers, across: Answers | None = None) -> Calibrated:
    """Calibrate on the validation part; with folds, every fold on what is said of the others.

    Where `across` is given, intervals are learned from it: what is said of every training sequence by a head that
    has not seen it.
    """
    if plan.split.folds:
        return _by_folds(plan, answers)
    train, validation, _ = plan.rounds[0]
    trust = _learned(plan, answers, validation) if across is None else _learned(plan, across, train)
    answers = trust(answers)
    ends = trust.interval(answers)
    if ends is not None:
        for side in ends:
            side[train] = np.nan
    words = f"the validation part ({len(validation):,} rows)"
    if across is not None:
        words = f"held-out folds of the training part: the validation part has {len(validation):,} rows"
    return Calibrated(trust, answers, ends, _said(plan, trust, words, len(validation)))


def _by_folds(plan: Plan, answers: Answers) -> Calibrated:
    """Calibrate every fold on the others; what is to come, on all of them."""
    every = np.sort(np.concatenate([one.test for one in plan.rounds]))
    trust = _learned(plan, answers, every)
    found = answers.take(np.arange(len(plan.assay)))
    shape = np.asarray(plan.assay.values).shape
    low, high = np.full(shape, np.nan), np.full(shape, np.nan)
    for one in plan.rounds:
        mine = _learned(plan, answers, np.setdiff1d(every, one.test))
        held = mine(answers.take(one.test))
        put(found, one.test, held)
        if (ends := mine.interval(held)) is not None:
            low[one.test], high[one.test] = ends
    ends = None if trust.intervals_by is None else (low, high)
    return Calibrated(trust, found, ends, _said(plan, trust, "the other folds", len(every)))


def _learned(plan: Plan, answers: Answers, rows: np.ndarray) -> Trust:
    """Learn from what is said of some sequences."""
    request = plan.request
    return Trust.fit(
        plan.assay.task,
        answers.take(rows),
        plan.assay.values[rows],
        coverage=request.coverage,
        way=request.calibration,
    )


def _said(plan: Plan, trust: Trust, words: str, rows: int) -> str:
    """Say on what was calibrated, or that it was not."""
    task = plan.assay.task
    if task.name in ("ranking", "per_token") or (not task.numeric and plan.request.calibration == "none"):
        return ""
    what = "intervals" if task.numeric else "probabilities"
    if trust.intervals_by is not None or trust.chances_by is not None:
        return f"{what} calibrated on {words}"
    lacking = "no intervals" if task.numeric else "probabilities are not calibrated"
    return f"{lacking}: that takes {LEAST} rows that were not trained on, and there are {rows:,}"
