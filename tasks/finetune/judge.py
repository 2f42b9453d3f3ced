"""How good predictions are, beside those of simple models on the same split."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bio_xlstm.tasks.assay.baselines.choose import baselines_for
from bio_xlstm.tasks.assay.calibration import Conformal, measured_coverage
from bio_xlstm.tasks.assay.metrics.measure import MAIN, measure
from bio_xlstm.tasks.finetune.answers import Answers, blank, put
from bio_xlstm.tasks.finetune.plan import Plan
from bio_xlstm.tasks.finetune.trust import Trust

Say = Callable[[str], None]


def judged(plan: Plan, predicted: Any, rows: np.ndarray) -> list[dict[str, Any]]:
    """Measure predictions of some sequences."""
    if not len(rows):
        return []
    task, request = plan.assay.task, plan.request
    metrics = measure(task, plan.values(rows), predicted, bootstrap=request.bootstrap, seed=request.seed)
    return [
        {"metric": one.metric, "value": one.value, "low": one.low, "high": one.high, "note": one.note}
        for one in metrics
    ]


def judge_baselines(plan: Plan, say: Say) -> tuple[dict[str, Any], dict[str, Answers]]:
    """Train every baseline on the training part of every round, and measure what it says of the test parts."""
    assay, request = plan.assay, plan.request
    tested = tested_rows(plan)
    found: dict[str, Any] = {}
    said: dict[str, Answers] = {}
    for number, named in enumerate(baselines_for(assay.kind, assay.task, assay.sequences)):
        answers = blank(assay.task, len(assay))
        for one in plan.rounds:
            # a fresh one for every round
            baseline = baselines_for(assay.kind, assay.task, assay.sequences)[number]
            baseline.fit(_texts(plan, one.train), plan.values(one.train), assay.task, request.seed)
            put(answers, one.test, Answers(baseline.predict(_texts(plan, one.test))))
        said[named.name] = answers
        found[named.name] = {
            "words": named.words,
            "test": judged(plan, answers.take(tested).predicted, tested),
        }
        say(f"baseline {named.name}: {main_metric(plan, found[named.name]['test'])}")
    return found, said


def tested_rows(plan: Plan) -> np.ndarray:
    """Return the sequences that are in a test part."""
    return np.sort(np.concatenate([one.test for one in plan.rounds]))


def coverage(plan: Plan, trust: Trust, answers: Answers) -> dict[str, Any] | None:
    """Measure how often the value lies in its interval, in the test part; with folds, of intervals made on others."""
    if trust.intervals_by is None:
        return None
    values = plan.assay.values
    found = trust.interval(answers)
    assert found is not None
    low, high = found[0].copy(), found[1].copy()
    if plan.split.folds:
        for one in plan.rounds:
            others = np.setdiff1d(tested_rows(plan), one.test)
            part = Trust.fit(trust.task, answers.take(others), values[others], coverage=plan.request.coverage)
            ends = part.interval(answers.take(one.test))
            assert ends is not None
            low[one.test], high[one.test] = ends
    rows = tested_rows(plan)
    shares = measured_coverage(values[rows], low[rows], high[rows])
    widths = high[rows] - low[rows]
    assert isinstance(trust.intervals_by, Conformal)
    return {
        "promised": trust.intervals_by.coverage,
        "measured": {name: _plain(share) for name, share in zip(trust.task.targets, shares, strict=True)},
        "mean_width": {
            name: _plain(width) for name, width in zip(trust.task.targets, widths.mean(0), strict=True)
        },
    }


def main_metric(plan: Plan, metrics: list[dict[str, Any]]) -> str:
    """Write the metric by which models of the task are compared, with its interval."""
    name = MAIN[plan.assay.task.name]
    one = next((metric for metric in metrics if metric["metric"] == name), None)
    if one is None or one["value"] is None:
        return f"{name} does not exist" + (f" ({one['note']})" if one and one["note"] else "")
    ends = "" if one["low"] is None else f" ({one['low']:.3f} to {one['high']:.3f})"
    return f"{name} {one['value']:.3f}{ends}"


def _texts(plan: Plan, rows: np.ndarray) -> list[str]:
    """Return some sequences as text."""
    return [plan.assay.sequences[row] for row in rows.tolist()]


def _plain(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if np.isfinite(value) else None
