"""How good the model is beside simple ones: every metric with its interval, and pictures of the most telling ones."""

import math

import numpy as np

from bio_xlstm.tasks.assay.metrics.binary import CHANCES, DECISIONS, SCORES, auroc
from bio_xlstm.tasks.assay.metrics.bootstrap import intervals
from bio_xlstm.tasks.assay.metrics.judge import ENOUGH
from bio_xlstm.tasks.assay.metrics.measure import LOWER_IS_BETTER
from bio_xlstm.tasks.assay.metrics.multiclass import MULTICLASS
from bio_xlstm.tasks.assay.metrics.ranking import RANKING
from bio_xlstm.tasks.assay.metrics.regression import REGRESSION, Function, spearman
from bio_xlstm.tasks.report.interval_plot import Row, interval_plot
from bio_xlstm.tasks.report.markup import Inside, Markup, element, joined
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.tables import note, pictures, table, with_interval
from bio_xlstm.tasks.report.verdict import judge_run

TITLE = "Metrics and baselines"
# drawn beside the main metric
_SECOND = {
    "regression": "rmse",
    "binary": "auprc",
    "multiclass": "macro_auroc",
    "multilabel": "macro_auprc",
    "ranking": "ndcg",
    "per_token": "macro_f1",
}
_DEFINITIONS = {
    "regression": REGRESSION,
    "ranking": RANKING,
    "binary": {**SCORES, **DECISIONS, **CHANCES},
    "multilabel": {f"macro_{name}": one for name, one in {**SCORES, **DECISIONS, **CHANCES}.items()},
    "multiclass": MULTICLASS,
    "per_token": MULTICLASS,
}
_DRAWS = 200
# test sequences, and those of one class, below which metrics say little
_FEW, _RARE = 50, 10
OWN = "this model"


def metric_part(run: RunFiles) -> Markup:
    """Show the metrics of the test part."""
    if not run.metrics["test"]:
        return note("There is no test part: nothing is known about how good the model is.", kind="warning")
    verdict = judge_run(run)
    return joined(
        note(verdict.words, kind=verdict.kind),
        [note(line, kind="warning") for line in _doubts(run)],
        pictures([_drawn(run, name) for name in (run.main, _SECOND[run.task.name])]),
        _table(run),
        [element("p", line) for line in _notes(run)],
        _targets(run),
        _meanings(run),
    )


def _doubts(run: RunFiles) -> list[str]:
    """Say where the test part is too small for its metrics to say much."""
    found = []
    if len(run.tested) < _FEW:
        found.append(f"Only {len(run.tested)} test sequences: the numbers below say little.")
    if run.has_rows and run.task.name in ("binary", "multiclass"):
        counts = [int((run.values[run.tested, 0] == place).sum()) for place in range(len(run.task.classes))]
        rare = [
            f"{count} of {name!r}"
            for name, count in zip(run.task.classes, counts, strict=True)
            if count < _RARE
        ]
        if rare:
            found.append(
                f"The test part has only {', '.join(rare[:5])}: what is said of such classes is uncertain."
            )
    return found


def _drawn(run: RunFiles, name: str) -> Markup | None:
    """Draw one metric of all models."""
    rows = []
    for model, metrics in _models(run).items():
        found = run.metric(name, metrics)
        if found is not None:
            rows.append(Row(model, found["value"], found["low"], found["high"]))
    if not rows or rows[0].name != OWN:
        return None
    without = [model for model in _models(run) if model not in {row.name for row in rows}]
    left = f" It does not exist for {', '.join(without)}." if without else ""
    lower = name in LOWER_IS_BETTER
    label = f"{name} ({'less' if lower else 'more'} is better)"
    alt = f"{name}: " + "; ".join(f"{row.name} {with_interval(row.value, row.low, row.high)}" for row in rows)
    caption = f"{name} of {len(run.tested):,} test sequences with 95 % bootstrap intervals.{left}"
    return interval_plot(rows, label, alt=alt, caption=caption, marked=rows[0].value)


def _table(run: RunFiles) -> Markup:
    """Write all metrics of all models; the best of a row is bold."""
    models = _models(run)
    rows: list[list[Inside]] = []
    for one in run.metrics["test"]:
        name = one["metric"]
        found = {model: run.metric(name, metrics) for model, metrics in models.items()}
        known = [metric["value"] for metric in found.values() if metric is not None]
        best = (min if name in LOWER_IS_BETTER else max)(known, default=math.nan)
        arrow = "\u00a0↓" if name in LOWER_IS_BETTER else "\u00a0↑"
        cells: list[Inside] = [name + arrow]
        for metric in found.values():
            shown = "–" if metric is None else with_interval(metric["value"], metric["low"], metric["high"])
            won = len(models) > 1 and metric is not None and math.isclose(metric["value"], best, abs_tol=1e-9)
            cells.append(element("strong", shown) if won else shown)
        rows.append(cells)
    title = "Test part: value (95 % interval); ↑ more is better, ↓ less is better; the best is bold"
    return table(("metric", *models), rows, title=title)


def _targets(run: RunFiles) -> Markup | None:
    """Write the main metric of every target alone, of the model and of every baseline."""
    if (
        len(run.task.targets) < 2
        or not run.has_rows
        or run.task.name not in ("regression", "ranking", "multilabel")
    ):
        return None
    labels = run.task.name == "multilabel"
    function = auroc if labels else spearman
    said = {OWN: run.predicted[run.tested], **run.baselines}
    rows = []
    for place, target in enumerate(run.task.targets):
        truth = run.values[run.tested, place]
        known = np.flatnonzero(np.isfinite(truth))
        ones = [f"{int(truth[known].sum()):,}"] if labels else []
        # as in means over labels: of a class that hardly occurs nothing can be said
        least = min((truth[known] == one).sum() for one in (0, 1)) if labels else len(known)
        if least < ENOUGH:
            rows.append((target, f"{len(known):,}", *ones, *("–" for _ in said)))
            continue
        rows.append((target, f"{len(known):,}", *ones, *(
            _one(function, truth[known], numbers[known, place], run.metrics["seed"]) for numbers in said.values()
        )))  # fmt: skip
    names = ("target", "test rows", *(("positive",) if labels else ()), *said)
    what = "AUROC" if labels else "Spearman correlation"
    rule = f"of {ENOUGH} rows or more" + (" of both classes" if labels else "")
    return table(names, rows, title=f"{what} of every target {rule} (95 % interval)")


def _one(function: Function, truth: np.ndarray, said: np.ndarray, seed: int) -> str:
    """Write a metric of one target."""
    if not np.isfinite(said).all():
        return "–"
    ends = intervals(
        lambda rows: {"": function(truth[rows], said[rows])}, len(truth), draws=_DRAWS, seed=seed
    )
    return with_interval(function(truth, said), *ends.get("", (None, None)))


def _meanings(run: RunFiles) -> Markup:
    """Explain metrics and baselines."""
    known = _DEFINITIONS[run.task.name]
    names = [one["metric"] for one in run.metrics["test"]]
    terms = [
        element("div", element("dt", name), element("dd", known[name][1])) for name in names if name in known
    ]
    simple = [
        element("div", element("dt", name), element("dd", one["words"]))
        for name, one in run.metrics["baselines"].items()
    ]
    return element(
        "details",
        element("summary", "What the metrics and baselines are"),
        element("dl", terms, simple),
    )


def _notes(run: RunFiles) -> list[str]:
    """Say what metrics are means of, or why they or their intervals do not exist; with the metrics meant."""
    found: dict[str, list[str]] = {}
    for one in run.metrics["test"]:
        if one["note"]:
            found.setdefault(one["note"], []).append(one["metric"])
    every = len(run.metrics["test"])
    return [
        f"{'All metrics' if len(names) == every else ', '.join(names)}: {note}."
        for note, names in found.items()
    ]


def _models(run: RunFiles) -> dict[str, list[dict[str, object]]]:
    """Return the metrics of the model and of every baseline."""
    found = {name: one["test"] for name, one in run.metrics["baselines"].items()}
    return {OWN: run.metrics["test"], **found}
