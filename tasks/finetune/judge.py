"""How good predictions are, beside those of simple models on the same split."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bio_xlstm.tasks.assay.baselines.choose import baselines_for
from bio_xlstm.tasks.assay.calibration import measured_coverage
from bio_xlstm.tasks.assay.metrics.measure import MAIN, measure
from bio_xlstm.tasks.finetune.answers import Answers, blank, put
from bio_xlstm.tasks.finetune.plan import Plan
from bio_xlstm.tasks.finetune.trust import Ends

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


def coverage(plan: Plan, ends: Ends | None) -> dict[str, Any] | None:
    """Measure how often the value of a tested sequence lies in its interval, where it has one."""
    if ends is None:
        return None
    rows, targets = tested_rows(plan), plan.assay.task.targets
    low, high = (side[rows] for side in ends)
    known = ~np.isnan(low)
    shares = measured_coverage(np.where(known, plan.assay.values[rows], np.nan), low, high)
    widths = [float(np.mean((high - low)[:, place][known[:, place]])) if known[:, place].any() else np.nan
              for place in range(len(targets))]  # fmt: skip
    return {
        "promised": plan.request.coverage,
        "measured": {name: _plain(share) for name, share in zip(targets, shares, strict=True)},
        "mean_width": {name: _plain(width) for name, width in zip(targets, widths, strict=True)},
    }


def main_metric(plan: Plan, metrics: list[dict[str, Any]]) -> str:
    """Write the metric by which models of the task are compared, with its interval and what it is a mean of."""
    name = MAIN[plan.assay.task.name]
    one = next((metric for metric in metrics if metric["metric"] == name), None)
    if one is None or one["value"] is None:
        return f"{name} does not exist" + (f" ({one['note']})" if one and one["note"] else "")
    ends = "" if one["low"] is None else f" ({one['low']:.3f} to {one['high']:.3f})"
    return f"{name} {one['value']:.3f}{ends}" + (f", {one['note']}" if one["note"] else "")


def _texts(plan: Plan, rows: np.ndarray) -> list[str]:
    """Return some sequences as text."""
    return [plan.assay.sequences[row] for row in rows.tolist()]


def _plain(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if np.isfinite(value) else None
