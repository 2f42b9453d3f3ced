"""Nothing is calibrated on its own value, and what is calibrated on is said."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bio_xlstm.tasks.finetune.answers import Answers
from bio_xlstm.tasks.finetune.calibrated import calibrate
from bio_xlstm.tasks.finetune.judge import coverage
from bio_xlstm.tasks.finetune.plan import make_plan
from bio_xlstm.tasks.finetune.request import FinetuneRequest
from bio_xlstm.tasks.finetune.run import finetune
from tests.tasks.finetune.test_run import rows_of

Ask = Callable[..., FinetuneRequest]


@pytest.mark.parametrize("way", ["temperature", "isotonic"])
def test_no_fold_is_calibrated_on_itself(way: str, ask_finetune: Ask, tmp_path: Path) -> None:
    request = ask_finetune("binary", folds=3, calibration=way)
    plan = make_plan(request, print)
    rng = np.random.default_rng(0)
    said = rng.random((60, 1))
    found = calibrate(plan, Answers(said))
    # other labels of a fold change nothing that is said of it
    one = plan.rounds[0]
    values = plan.assay.values.copy()
    values[one.test] = 1 - values[one.test]
    turned = calibrate(replace(plan, assay=replace(plan.assay, values=values)), Answers(said))
    before, after = (np.asarray(each.answers.predicted)[:, 0] for each in (found, turned))
    np.testing.assert_array_equal(before[one.test], after[one.test])
    others = np.setdiff1d(np.arange(60), one.test)
    assert (before[others] != after[others]).any()
    # what is said of new sequences rests on all of them
    assert (found.trust(Answers(said)).predicted != found.answers.predicted).any()
    # the file holds what was measured
    finetune(request)
    output = Path(request.output)
    rows = rows_of(output / "predictions.csv")
    truth = np.array([row["y0"] == "active" for row in rows], float)
    brier = np.mean((np.array([float(row["probability_y0"]) for row in rows]) - truth) ** 2)
    metrics = json.loads((output / "metrics.json").read_text())["test"]
    assert next(one["value"] for one in metrics if one["metric"] == "brier") == pytest.approx(brier, abs=1e-6)


def test_intervals_of_folds_are_those_of_the_other_folds(ask_finetune: Ask) -> None:
    plan = make_plan(ask_finetune(folds=3), print)
    truth = plan.assay.values
    # far off in one fold alone
    said = truth + np.where(np.isin(np.arange(60), plan.rounds[0].test), 100.0, 0.1)[:, None]
    low, high = calibrate(plan, Answers(said)).ends or (truth, truth)
    inside = ((low <= truth) & (truth <= high))[:, 0]
    assert not inside[plan.rounds[0].test].any() and inside[plan.rounds[1].test].all()
    assert coverage(plan, (low, high))["measured"]["y0"] == pytest.approx(inside.mean())  # type: ignore[index]
    # folds whose others are too few have none, and count for nothing
    few = make_plan(ask_finetune(rows=16, folds=2, output="few"), print)
    ends = calibrate(few, Answers(few.assay.values + 0.1)).ends
    assert ends is not None and np.isnan(ends[0]).all()
    assert coverage(few, ends)["measured"] == {"y0": None}  # type: ignore[index]


@pytest.mark.parametrize(
    ("task", "method", "words"),
    [
        ("regression", "head", "intervals calibrated on held-out folds of the training part: the validation"),
        ("regression", "lora", "no intervals: that takes 10 rows that were not trained on, and there are 3"),
        ("binary", "head", "probabilities are not calibrated: that takes 10 rows"),
        ("ranking", "head", ""),
    ],
)  # fmt: skip
def test_small_validation_parts_are_said(task: str, method: str, words: str, ask_finetune: Ask) -> None:
    said: list[str] = []
    request = ask_finetune(task, rows=30, fractions=(0.8, 0.1, 0.1), method=method)
    finetune(request, said.append)
    trust = [line for line in said if line.startswith("trust")]
    assert len(trust) == bool(words) and all(words in line for line in trust)
    row = next(one for one in rows_of(Path(request.output) / "predictions.csv") if one["part"] == "test")
    assert ("lower_y0" in row) == (task == "regression" and method == "head")
    if "lower_y0" in row:
        assert float(row["lower_y0"]) < float(row["predicted_y0"]) < float(row["upper_y0"])
