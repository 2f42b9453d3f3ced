"""Metrics against scikit-learn, scipy and numbers worked out by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from bio_xlstm.tasks.assay.metrics import binary, multiclass, ranking, regression
from bio_xlstm.tasks.assay.metrics.judge import judge_variants
from bio_xlstm.tasks.assay.metrics.measure import compare, measure, summarise
from bio_xlstm.tasks.assay.task import Task

RNG = np.random.default_rng(0)


def as_dict(found: list) -> dict:
    return {metric.metric: metric for metric in found}


def test_regression_agrees_with_scipy() -> None:
    values, predicted = RNG.normal(size=57).round(1), RNG.normal(size=57).round(1)
    assert regression.rmse(values, predicted) == pytest.approx(sk.root_mean_squared_error(values, predicted))
    assert regression.mae(values, predicted) == pytest.approx(sk.mean_absolute_error(values, predicted))
    assert regression.r2(values, predicted) == pytest.approx(sk.r2_score(values, predicted))
    assert regression.pearson(values, predicted) == pytest.approx(stats.pearsonr(values, predicted).statistic)
    assert regression.spearman(values, predicted) == pytest.approx(
        stats.spearmanr(values, predicted).statistic
    )
    assert regression.kendall(values, predicted) == pytest.approx(
        stats.kendalltau(values, predicted).statistic
    )


@pytest.mark.parametrize("ties", [False, True])
def test_binary_agrees_with_scikit_learn(ties: bool) -> None:
    classes = (RNG.random(83) < 0.3).astype(float)
    chances = RNG.random(83).round(1 if ties else 9)
    decided = (chances >= 0.5).astype(float)
    assert binary.auroc(classes, chances) == pytest.approx(sk.roc_auc_score(classes, chances))
    assert binary.auprc(classes, chances) == pytest.approx(sk.average_precision_score(classes, chances))
    assert binary.delta_auprc(classes, chances) == pytest.approx(
        sk.average_precision_score(classes, chances) - classes.mean()
    )
    assert binary.mcc(classes, decided) == pytest.approx(sk.matthews_corrcoef(classes, decided))
    assert binary.f1(classes, decided) == pytest.approx(sk.f1_score(classes, decided))
    assert binary.balanced_accuracy(classes, decided) == pytest.approx(
        sk.balanced_accuracy_score(classes, decided)
    )
    assert binary.brier(classes, chances) == pytest.approx(sk.brier_score_loss(classes, chances))
    inner = np.clip(chances, 0.01, 0.99)
    assert binary.log_loss(classes, inner) == pytest.approx(sk.log_loss(classes, inner))


def test_calibration_error_by_hand() -> None:
    # bin 0.9-1.0: said 0.95, happened 1 of 2; bin 0.1-0.2: said 0.15, happened 0 of 2
    found = binary.ece(np.array([1, 0, 0, 0]), np.array([0.95, 0.95, 0.15, 0.15]))
    assert found == pytest.approx(0.5 * 0.45 + 0.5 * 0.15)
    assert binary.ece(np.array([1.0]), np.array([1.0])) == 0


def test_multiclass_agrees_with_scikit_learn() -> None:
    chances = RNG.dirichlet(np.ones(4), 91)
    classes = np.where(RNG.random(91) < 0.5, chances.argmax(1), RNG.integers(4, size=91)).astype(float)
    said = chances.argmax(1)
    assert multiclass.accuracy(classes, chances) == pytest.approx(sk.accuracy_score(classes, said))
    assert multiclass.balanced_accuracy(classes, chances) == pytest.approx(
        sk.balanced_accuracy_score(classes, said)
    )
    assert multiclass.macro_f1(classes, chances) == pytest.approx(sk.f1_score(classes, said, average="macro"))
    assert multiclass.mcc(classes, chances) == pytest.approx(sk.matthews_corrcoef(classes, said))
    assert multiclass.log_loss(classes, chances) == pytest.approx(sk.log_loss(classes, chances))
    assert multiclass.macro_auroc(classes, chances) == pytest.approx(
        sk.roc_auc_score(classes, chances, multi_class="ovr", average="macro")
    )


def test_proteingym_metrics_by_hand() -> None:
    values = np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 10] * 2)
    perfect = values.copy()
    assert ranking.ndcg(values, perfect) == pytest.approx(1)
    assert ranking.top_recall(values, perfect) == 1
    worst = -values
    assert ranking.ndcg(values, worst) == 0
    assert ranking.top_recall(values, worst) == 0
    # of 20, two are on top: a 10 (gain 1) and a 5 (gain 0.5), where two 10 could be
    mixed = np.zeros(20)
    mixed[9], mixed[5] = 2, 1
    assert ranking.ndcg(values, mixed) == pytest.approx((1 + 0.5 / np.log2(3)) / (1 + 1 / np.log2(3)))
    classes = (values > 4).astype(float)
    assert ranking.median_mcc(classes, values) == pytest.approx(
        sk.matthews_corrcoef(classes, values >= np.median(values))
    )


def test_measure_gives_intervals_that_hold_the_value() -> None:
    values = RNG.normal(size=(200, 1))
    predicted = values + RNG.normal(size=(200, 1))
    found = as_dict(measure(Task("regression", ("y",)), values, predicted, bootstrap=200))
    assert set(found) == {"rmse", "mae", "r2", "pearson", "spearman", "kendall"}
    for metric in found.values():
        assert metric.low < metric.value < metric.high and metric.definition
    again = as_dict(measure(Task("regression", ("y",)), values, predicted, bootstrap=200))
    assert again == found


def test_missing_values_and_predictions_do_not_count() -> None:
    values = np.array([[1.0], [2], [np.nan], [4], [5]])
    predicted = np.array([[1.0], [2], [3], [np.nan], [5]])
    found = as_dict(measure(Task("regression", ("y",)), values, predicted, bootstrap=0))
    assert found["rmse"].value == 0 and found["rmse"].low is None


@pytest.mark.parametrize(
    ("task", "values", "predicted", "metric", "note"),
    [
        ("binary", [1, 1, 1], [0.5, 0.6, 0.7], "auroc", "all values are equal"),
        ("binary", [1, 0, 1], [3.5, 0.6, -0.7], "brier", "the scores are no probabilities (0 to 1)"),
        ("regression", [2, 2, 2], [1, 2, 3], "r2", "all values are equal"),
        ("regression", [1, 2, 3], [1, 1, 1], "spearman", "all predictions are equal"),
        ("regression", [1, np.nan, np.nan], [1, 1, 1], "rmse", "1 rows have both a value and a prediction"),
    ],
)
def test_what_does_not_exist_says_why(
    task: str, values: list, predicted: list, metric: str, note: str
) -> None:
    columns = (np.array(one, float)[:, None] for one in (values, predicted))
    found = as_dict(measure(Task(task, ("y",), ("a", "b")), *columns, bootstrap=20))[metric]
    assert found.value is None and found.note == note


def test_multilabel_is_the_mean_over_labels_with_enough_of_both() -> None:
    values = (RNG.random((60, 3)) < 0.5).astype(float)
    values[:, 2] = 0
    values[:2, 2] = 1
    values[::7, 0] = np.nan
    chances = RNG.random((60, 3))
    found = as_dict(measure(Task("multilabel", ("a", "b", "c"), ("0", "1")), values, chances, bootstrap=50))
    known = ~np.isnan(values[:, 0])
    expected = [
        sk.roc_auc_score(values[known, 0], chances[known, 0]),
        sk.roc_auc_score(values[:, 1], chances[:, 1]),
    ]
    assert found["macro_auroc"].value == pytest.approx(np.mean(expected))
    assert found["macro_auroc"].note.startswith("mean of 2 of 3 labels")


@pytest.mark.parametrize(
    ("positive", "words"), [(1, "1 row of one class"), (4, "4 rows of one class"), (5, "")]
)
def test_few_rows_of_a_class_have_no_interval(positive: int, words: str) -> None:
    """One positive above all others would be drawn as the only one, and AUROC be 1.000 (1.000 to 1.000)."""
    values, task = np.zeros((40, 1)), Task("binary", ("y",), ("a", "b"))
    values[:positive] = 1
    chances = np.linspace(0.9, 0.1, 40)[:, None]
    found = as_dict(measure(task, values, chances, bootstrap=50))
    assert found["auroc"].value == 1 and (found["auroc"].low is None) == bool(words)
    assert found["auroc"].note == (f"no interval: {words}" if words else "")
    assert found["mcc"].note == found["auroc"].note and found["accuracy"].low is not None
    assert (compare(task, values, chances, 1 - chances, bootstrap=50).low is None) == bool(words)
    ranked = judge_variants(values[:, 0], values[:, 0], chances[:, 0])
    assert (as_dict(summarise(ranked, bootstrap=50))["auc"].low is None) == bool(words)


def test_several_targets_are_averaged() -> None:
    values, predicted = RNG.normal(size=(40, 2)), RNG.normal(size=(40, 2))
    found = as_dict(measure(Task("regression", ("a", "b")), values, predicted, bootstrap=0))
    expected = np.mean([regression.rmse(values[:, place], predicted[:, place]) for place in (0, 1)])
    assert found["rmse"].value == pytest.approx(expected) and found["rmse"].note == "mean over 2 targets"


def test_letters_are_judged_together_and_unknown_ones_left_out() -> None:
    values = [np.array([0, 1, -1]), np.array([1, 1])]
    chances = [np.array([[0.9, 0.1], [0.2, 0.8], [1, 0]]), np.array([[0.6, 0.4], [0.1, 0.9]])]
    found = as_dict(measure(Task("per_token", ("y",), ("H", "E")), values, chances, bootstrap=20))
    assert found["accuracy"].value == 3 / 4


def test_a_better_model_gains_over_a_worse_one() -> None:
    values = RNG.normal(size=(150, 1))
    good, bad = values + 0.3 * RNG.normal(size=(150, 1)), RNG.normal(size=(150, 1))
    task = Task("regression", ("y",))
    gain = compare(task, values, good, bad, bootstrap=100)
    assert gain.metric == "gain_spearman" and 0 < gain.low < gain.value < gain.high
    # less is better for an error: still above zero
    assert compare(task, values, good, bad, metric="rmse", bootstrap=100).low > 0
    assert compare(task, values, good, good, bootstrap=100).value == 0
