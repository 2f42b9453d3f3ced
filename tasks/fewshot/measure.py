"""What methods reach on the draws of one assay."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from bio_xlstm.tasks.assay.metrics.binary import CHANCES, SCORES, log_loss
from bio_xlstm.tasks.assay.metrics.regression import rmse, spearman
from bio_xlstm.tasks.fewshot.assay import Assay
from bio_xlstm.tasks.fewshot.draws import Draws, countable, draw
from bio_xlstm.tasks.fewshot.intervals import intervals
from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.methods.choose import METHODS
from bio_xlstm.tasks.fewshot.methods.question import Question
from bio_xlstm.tasks.fewshot.request import FewshotRequest

Scores = dict[str, list[float]]
"""by metric, what every draw reached"""
DESCRIPTION = "description"
CLASSIFICATION = {name: SCORES[name][1] for name in ("delta_auprc", "auroc")}
PROBABILITIES = {name: words for name, (_, words) in CHANCES.items()} | {
    "log_loss_of_share": "log_loss / log_loss of saying the support's share of positives of every query"
}
REGRESSION = {
    "r2": "1 - squared error / squared error of the support's mean: 1 is perfect, 0 is that mean",
    "spearman": "correlation of the ranks; 0 where all predictions are equal",
    "rmse": "root of the mean squared error, in the unit of the values",
    "rmse_of_mean": "rmse / rmse of the support's mean",
    "rmse_marked": "rmse of the queries that --mark-column marks",
}
INTERVALS = {
    "coverage": "share of the values that lie in their interval; how much was promised stands under --coverage",
    "interval_width": "mean width of the intervals, in the unit of the values",
}


def measure_assay(assay: Assay, library: Library, request: FewshotRequest) -> dict[str, Any]:
    """Draw supports of every size, ask every method, and return plain data: scores by size, method and metric."""
    seconds = dict.fromkeys((DESCRIPTION, *request.chosen), 0.0)
    left_out: dict[str, str] = {}
    sizes: dict[str, dict[str, Scores]] = {}
    for size in request.sizes:
        draws = draw(assay, size, request.draws, numeric=request.numeric)
        if isinstance(draws, str):
            left_out[str(size)] = draws
        else:
            seconds[DESCRIPTION] += _describe(assay, library, request)
            sizes[str(size)] = _measure_size(assay, draws, library, request, seconds)
    return {
        "assay": assay.name,
        "molecules": len(assay),
        "mean": float(assay.values.mean()),
        "sizes": sizes,
        "left_out": left_out,
        "seconds": seconds,
    }


def _describe(assay: Assay, library: Library, request: FewshotRequest) -> float:
    """Describe the molecules for all methods at once, and return the seconds."""
    # the learner's points first: embeddings come with them
    needs = sorted({need for name in request.chosen for need in METHODS[name].needs}, key="points".__ne__)
    return sum(timed(partial(getattr(library, need), assay.rows))[1] for need in needs)


def _measure_size(
    assay: Assay, draws: Draws, library: Library, request: FewshotRequest, seconds: dict[str, float]
) -> dict[str, Scores]:
    """Ask every method about the same draws; the seconds of each are added up."""
    question = Question(
        library,
        assay.rows[draws.support],
        assay.values[draws.support],
        assay.relations[draws.support],
        assay.rows[draws.queries],
        request.draws,
        request.numeric,
    )
    found = {}
    for name in request.chosen:
        method = METHODS[name]
        predicted, took = timed(partial(method.predict, question))
        seconds[name] += took
        found[name] = _judged(assay, draws, np.asarray(predicted, float), request.numeric)
        if method.sure and request.numeric:
            found[name] |= _covered(assay, draws, *intervals(question, request.coverage))
        if method.chances is not None and not request.numeric:
            found[name] |= _believed(assay, draws, method.chances(question, np.asarray(predicted, float)))
    return found


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call returns, and its seconds."""
    begin = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begin


def _judged(assay: Assay, draws: Draws, predicted: np.ndarray, numeric: bool) -> Scores:
    """Measure every draw (S, M)."""
    each = [
        _numbers(assay, support, queries, found) if numeric else _classes(assay, queries, found)
        for support, queries, found in zip(*draws, predicted, strict=True)
    ]
    return {name: [one[name] for one in each] for name in each[0] if all(name in one for one in each)}


def _classes(assay: Assay, queries: np.ndarray, found: np.ndarray) -> dict[str, float]:
    return {name: SCORES[name][0](assay.values[queries], found) for name in CLASSIFICATION}


def _believed(assay: Assay, draws: Draws, chances: np.ndarray) -> Scores:
    """Measure the probabilities (S, M) of every draw."""
    scores: Scores = {name: [] for name in PROBABILITIES}
    for support, queries, found in zip(*draws, chances, strict=True):
        classes = assay.values[queries]
        for name, (measure, _) in CHANCES.items():
            scores[name].append(measure(classes, found))
        share = np.full(len(queries), assay.values[support].mean())
        scores["log_loss_of_share"].append(log_loss(classes, found) / log_loss(classes, share))
    return scores


def _numbers(
    assay: Assay, support: Sequence[int] | np.ndarray, queries: np.ndarray, found: np.ndarray
) -> dict[str, float]:
    """Measure numbers where the true value is known."""
    known = countable(assay, queries)
    values, found, marked = assay.values[queries][known], found[known], assay.marked[queries][known]
    middle = assay.values[support].mean()
    share = rmse(values, found) / rmse(values, np.full(len(values), middle))
    scores = {
        "r2": 1 - share**2,
        "spearman": float(np.nan_to_num(spearman(values, found))),
        "rmse": rmse(values, found),
        "rmse_of_mean": share,
    }
    if marked.any():
        scores["rmse_marked"] = rmse(values[marked], found[marked])
    return scores


def _covered(assay: Assay, draws: Draws, lower: np.ndarray, upper: np.ndarray) -> Scores:
    """Measure the intervals (S, M) of every draw where the true value is known; nothing where there are none."""
    scores: Scores = {"coverage": [], "interval_width": []}
    if np.isnan(lower).any():
        return {}
    for queries, low, high in zip(draws.queries, lower, upper, strict=True):
        known = countable(assay, queries)
        values, low, high = assay.values[queries][known], low[known], high[known]
        scores["coverage"].append(float(np.mean((low <= values) & (values <= high))))
        scores["interval_width"].append(float(np.mean(high - low)))
    return scores
