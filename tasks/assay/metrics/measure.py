"""The door to all metrics: values and predictions of one task in, numbers with intervals out."""

import numpy as np

from bio_xlstm.tasks.assay.metrics.bootstrap import intervals
from bio_xlstm.tasks.assay.metrics.judge import Judge, Values, judge
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.evaluate.metric import Metric, measured

# the metric by which models of a task are compared
MAIN = {
    "regression": "spearman",
    "binary": "auroc",
    "multiclass": "mcc",
    "multilabel": "macro_auroc",
    "ranking": "spearman",
    "per_token": "accuracy",
}
# of these, less is better
LOWER_IS_BETTER = ("rmse", "mae", "brier", "ece", "log_loss", "macro_brier", "macro_ece", "macro_log_loss")


def measure(
    task: Task, values: Values, predicted: Values, *, bootstrap: int = 1000, seed: int = 0
) -> list[Metric]:
    """Measure predictions (shapes: see `Task`) against values (N, T), NaN where missing; per_token: lists of N.

    Of several targets or labels, metrics are means over them (`macro_` for labels). `low` and `high` are the 95 %
    bootstrap interval over sequences (percentiles; `bootstrap` draws, fewer for large sets, none for 0, and none for
    what rests on less than 5 rows of a class). What does not exist, such as AUROC of one class, has value None and a
    note. Rows without prediction (NaN) do not count.
    """
    return summarise(judge(task, values, predicted), bootstrap=bootstrap, seed=seed)


def summarise(found: Judge, *, bootstrap: int = 1000, seed: int = 0) -> list[Metric]:
    """Compute the metrics of all rows, with their intervals."""
    point = found.compute(np.arange(found.count))
    ends = intervals(found.compute, found.count, draws=bootstrap, seed=seed, width=found.width)
    metrics = []
    for name, value in point.items():
        few = found.few.get(name, "")
        low, high = (None, None) if few else ends.get(name, (None, None))
        note = found.notes.get(name, "") or (few if np.isfinite(value) else found.why)
        one = measured(name, value, found.definitions[name], note)
        metrics.append(one._replace(low=low, high=high) if one.value is not None else one)
    return metrics


def compare(
    task: Task,
    values: Values,
    one: Values,
    other: Values,
    *,
    metric: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Metric:
    """Measure how much better one prediction is than another in a metric (default: the main one of the task).

    Above 0, the first is better, also where less is better. Both are drawn on the same rows, so that the interval is
    that of the difference.
    """
    name = metric or MAIN[task.name]
    first, second = judge(task, values, one), judge(task, values, other)
    sign = -1 if name in LOWER_IS_BETTER else 1

    def difference(rows: np.ndarray) -> dict[str, float]:
        return {name: sign * (first.compute(rows)[name] - second.compute(rows)[name])}

    ends = intervals(difference, first.count, draws=bootstrap, seed=seed, width=2 * first.width)
    low, high = (None, None) if name in first.few else ends.get(name, (None, None))
    words = f"how much better in {name}, on the same sequences"
    return measured(f"gain_{name}", difference(np.arange(first.count))[name], words)._replace(
        low=low, high=high
    )
