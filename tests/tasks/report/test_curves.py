"""Points of curves against their definitions."""

import numpy as np
import pytest

from bio_xlstm.tasks.assay.metrics.binary import auprc, auroc
from bio_xlstm.tasks.report.curves import precision_recall, reliability, roc, wilson

rng = np.random.default_rng(0)
CASES = [
    (np.array([1.0, 0.0]), np.array([0.9, 0.1])),
    (np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.5, 0.5, 0.5, 0.5])),
    ((rng.random(101) < 0.2).astype(float), rng.integers(0, 8, 101) / 8),
    ((rng.random(300) < 0.5).astype(float), rng.random(300)),
]


@pytest.mark.parametrize(("truth", "scores"), CASES)
def test_the_area_under_a_curve_is_its_metric(truth: np.ndarray, scores: np.ndarray) -> None:
    for points, metric in ((roc(truth, scores), auroc), (precision_recall(truth, scores), auprc)):
        x, y = np.array(points).T
        assert (np.diff(x) >= 0).all() and x[0] == 0 and x[-1] == 1
        area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
        # long curves are thinned
        assert area == pytest.approx(metric(truth, scores), abs=1e-9 if len(truth) < 200 else 5e-3)


def test_reliability_counts_every_prediction_once() -> None:
    truth, chances = CASES[3]
    bins = reliability(truth, chances)
    assert sum(one.size for one in bins) == len(truth)
    assert sum(one.frequency * one.size for one in bins) == pytest.approx(truth.sum())
    assert all(one.low <= one.frequency <= one.high for one in bins)
    assert len(reliability(np.ones(1), np.ones(1))) == 1 and reliability(np.zeros(0), np.zeros(0)) == []


def test_wilson_intervals_are_those_of_the_formula() -> None:
    # 8 of 10: (0.4902, 0.9433), as tabulated
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0.0, 5)[0] == 0 and wilson(1.0, 5)[1] == 1
