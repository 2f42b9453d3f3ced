"""Run one evaluation of predictions: read, measure, write."""

import hashlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm import __version__
from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.assay.metrics.judge import Judge, judge, judge_variants, mean_of
from bio_xlstm.tasks.assay.metrics.measure import summarise
from bio_xlstm.tasks.evaluate import report
from bio_xlstm.tasks.evaluate.metric import Metric, measured, missing, share
from bio_xlstm.tasks.evaluate.prediction_request import PredictionRequest
from bio_xlstm.tasks.evaluate.prediction_table import Predictions, read_predictions
from bio_xlstm.tasks.files.places import check_place
from bio_xlstm.tasks.journal import store_file
from bio_xlstm.tasks.writing import writing

log = logging.getLogger(__name__)
Say = Callable[[str], None]
# what classes without probabilities can be judged by
OF_DECISIONS = ("accuracy", "balanced_accuracy", "f1", "macro_f1", "mcc")


def evaluate_predictions(request: PredictionRequest, say: Say = log.info) -> list[Metric]:
    """Measure the predictions of a file and write what was found.

    Raises InputError, ConfigError or OutputError in the user's words.
    """
    output = Path(request.output)
    check_place(request.predictions, request.output, f"evaluate {request.goal}", overwrite=True)
    if request.output != "-" and output.exists() and not request.overwrite:
        raise OutputError(f"{output} exists; use --overwrite to replace it")
    found = read_predictions(request)
    metrics = measure_predictions(found, request)
    made = provenance(found, request)
    text = report.as_csv(metrics) if output.suffix.lower() == ".csv" else report.as_json(made, metrics)
    with writing(output):
        if request.output == "-":
            sys.stdout.write(text)
        else:
            store_file(output, lambda file: file.write(text.encode()))
    for line in (*about(found), *summary(metrics)):
        say(line)
    say("wrote to standard output" if request.output == "-" else f"written   {output}")
    return metrics


def measure_predictions(found: Predictions, request: PredictionRequest) -> list[Metric]:
    """Return counts, the metrics of the task with intervals, coverage, and the metrics of every group."""
    judges = [
        _judge(found, np.flatnonzero(found.groups == number)) for number in range(len(found.group_names))
    ]
    by = f"{len(judges)} groups of {found.chosen.by}"
    whole = judges[0] if len(judges) == 1 else mean_of(judges, found.groups, by)
    metrics = [
        measured("rows", found.rows, "rows of the file that were asked for"),
        measured("measured_rows", len(found.values), "rows that have a measured value and a prediction"),
        *_of_decisions(found, summarise(whole, bootstrap=request.bootstrap, seed=request.seed)),
        *_coverage(found),
    ]
    if len(judges) > 1:
        for name, one in zip(found.group_names, judges, strict=True):
            each = _of_decisions(found, summarise(one, bootstrap=0))
            metrics += [metric._replace(metric=f"{metric.metric}:{name}") for metric in each]
    return metrics


def about(found: Predictions) -> list[str]:
    """Say which columns were compared, and what was left out."""
    predicted = found.chosen.prediction or list(found.chosen.chances.values())
    task = "variants" if len(found.labels) else found.task.name
    lines = [f"{', '.join(found.chosen.truth)} against {', '.join(predicted)}: {task}"]
    if left := found.rows - len(found.values):
        lines.append(f"{left:,} of {found.rows:,} rows lack a value or a prediction and are not counted")
    return [*lines, *found.notes]


def summary(metrics: Sequence[Metric]) -> list[str]:
    """Write the metrics for people, one line each; those of groups stand in the file."""
    shown = [metric for metric in metrics if ":" not in metric.metric]
    width = max(len(metric.metric) for metric in shown)
    return [f"{metric.metric:<{width}}  {_value(metric)}" for metric in shown]


def provenance(found: Predictions, request: PredictionRequest) -> dict[str, Any]:
    """Say what was evaluated; no clock, no host, so that equal work gives equal bytes."""
    return {
        "command": f"evaluate {request.goal}",
        "command_line": request.command_line,
        "code_version": __version__,
        "input": {"file": request.predictions, "sha256": _sha256(request.predictions)},
        "task": found.task.name,
        "classes": list(found.task.classes),
        "columns": {name: value for name, value in found.chosen._asdict().items() if value},
        "where": list(request.where),
        "bootstrap": request.bootstrap,
        "seed": request.seed,
        "notes": found.notes,
    }


def _judge(found: Predictions, rows: np.ndarray) -> Judge:
    if len(found.labels):
        return judge_variants(found.values[rows, 0], found.labels[rows], found.predicted[rows, 0])
    return judge(found.task, found.values[rows], found.predicted[rows])


def _of_decisions(found: Predictions, metrics: list[Metric]) -> list[Metric]:
    """Leave out what classes without probabilities cannot tell."""
    if not found.decided:
        return metrics
    why = "the predictions are classes, not probabilities"
    return [
        metric if metric.metric in OF_DECISIONS else missing(metric.metric, metric.definition, why)
        for metric in metrics
    ]


def _coverage(found: Predictions) -> list[Metric]:
    """Measure intervals where the file has them."""
    if found.ends is None:
        return []
    low, high = found.ends
    known = ~np.isnan(low[:, 0]) & ~np.isnan(high[:, 0])
    inside = (found.values >= low) & (found.values <= high)
    words = f"share of the values from {found.chosen.lower} to {found.chosen.upper}"
    width = float(np.mean((high - low)[known])) if known.any() else float("nan")
    return [
        share("coverage", int(inside[known].sum()), int(known.sum()), words),
        measured("interval_width", width, "mean width of the intervals, in the unit of the values"),
    ]


def _value(metric: Metric) -> str:
    if metric.value is None:
        return f"not measured: {metric.note}"
    if isinstance(metric.value, int):
        return f"{metric.value:,}"
    ends = "" if metric.low is None or metric.high is None else f"  [{metric.low:.4g}, {metric.high:.4g}]"
    return f"{metric.value:.4g}{ends}"


def _sha256(path: str) -> str | None:
    """Return the hash of a file; standard input was read and is gone."""
    if not Path(path).is_file():
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
