"""Predictions of the test part beside what was measured: scatter, ROC and precision-recall curves, confusion."""

import numpy as np

from bio_xlstm.tasks.assay.metrics.binary import CUT, auprc, auroc
from bio_xlstm.tasks.assay.metrics.multiclass import confusion
from bio_xlstm.tasks.report.curves import precision_recall, roc
from bio_xlstm.tasks.report.markup import Inside, Markup, joined
from bio_xlstm.tasks.report.metric_part import OWN
from bio_xlstm.tasks.report.plot import Plot, diagonal, line, picture, segment
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.scale import shares
from bio_xlstm.tasks.report.scatter import scatter
from bio_xlstm.tasks.report.tables import metric, note, percent, pictures, table
from bio_xlstm.tasks.report.verdict import best_baseline

TITLE = "Predicted and measured"
# targets and classes that are drawn
_TARGETS, _CURVES = 6, 6


def answer_part(run: RunFiles) -> Markup:
    """Draw the predictions of the test part."""
    if not run.has_rows:
        why = (
            "letters"
            if run.task.name == "per_token"
            else "rows without values or predictions, or too many targets"
        )
        return note(f"Nothing is drawn: the assay has {why}.")
    if run.task.numeric:
        return pictures(_numbers(run))
    if run.task.name == "binary":
        return joined(pictures(_two_classes(run)), _confusion(run))
    if run.task.name == "multiclass":
        return joined(pictures(_several(run, np.eye(len(run.task.classes)))), _confusion(run))
    return pictures(_several(run, None))


def _numbers(run: RunFiles) -> list[Markup | None]:
    """Draw the first targets; one alone stands beside the best baseline."""
    targets = range(min(len(run.task.targets), _TARGETS))
    found = [scatter(run, target, run.predicted[:, target][run.tested], None) for target in targets]
    best = best_baseline(run)
    if len(found) == 1 and best is not None and best[0] in run.baselines:
        found.append(scatter(run, 0, run.baselines[best[0]][:, 0], best[0]))
    return found


def _two_classes(run: RunFiles) -> list[Markup]:
    """Draw the curves of the model and of the best baseline."""
    said = {OWN: run.predicted[run.tested, 0]}
    best = best_baseline(run)
    if best is not None and best[0] in run.baselines:
        said[best[0]] = run.baselines[best[0]][:, 0]
    truth = run.values[run.tested, 0]
    pairs = {name: (truth, numbers) for name, numbers in said.items()}
    return _curves(pairs, repr(run.task.classes[-1]), float(np.nanmean(truth)))


def _several(run: RunFiles, classes: np.ndarray | None) -> list[Markup]:
    """Draw a curve for every class against the others, or for every label; those with most positives, if many."""
    truth, said = run.values[run.tested], run.predicted[run.tested]
    if classes is not None:
        kept = np.isfinite(truth[:, 0])
        truth, said = classes[truth[kept, 0].astype(int)], said[kept]
    order = np.argsort(-np.nansum(truth, 0), kind="stable")[:_CURVES]
    pairs = {run.outputs[place]: (truth[:, place], said[:, place]) for place in sorted(order.tolist())}
    return _curves(pairs, "the class" if classes is not None else "positives")


def _curves(
    pairs: dict[str, tuple[np.ndarray, np.ndarray]], positive: str, chance: float | None = None
) -> list[Markup]:
    """Draw ROC and precision-recall curves of several rows of truth and scores; `chance` is the share of positives."""
    both = {}
    for name, (truth, said) in pairs.items():
        known = np.isfinite(truth) & np.isfinite(said)
        if 0 < truth[known].sum() < known.sum():
            both[name] = (truth[known], said[known])
    if not both:
        return [note("No curve is drawn: the test part has one class alone.", kind="warning")]
    left = Plot(shares(), shares(), "share of negatives taken for positive", f"share of {positive} found")
    right = Plot(
        shares(), shares(), f"recall: share of {positive} found", "precision: share of hits that are right"
    )
    lines = [(line(left, roc(*one), place), line(right, precision_recall(*one), place))
             for place, one in enumerate(both.values())]  # fmt: skip
    areas = [[f"{name}: {metric(area(*one))}" for name, one in both.items()] for area in (auroc, auprc)]
    floor = None if chance is None else segment(right.at(0, chance), right.at(1, chance), "ideal")
    below = (
        "" if chance is None else f" Dashed: chance, {percent(chance)} of the test sequences are positive."
    )
    return [
        picture(left, [diagonal(left), [one for one, _ in lines]], legend=areas[0],
                alt="ROC curve. Area: " + "; ".join(areas[0]),
                caption=f"ROC curve, area {'; '.join(areas[0])}. Dashed: chance."),
        picture(right, [floor, [one for _, one in lines]], legend=areas[1],
                alt="Precision-recall curve. Average precision: " + "; ".join(areas[1]),
                caption=f"Precision-recall curve, average precision {'; '.join(areas[1])}.{below}"),
    ]  # fmt: skip


def _confusion(run: RunFiles) -> Markup:
    """Count which classes are taken for which."""
    truth, said = run.values[run.tested, 0], run.predicted[run.tested]
    known = np.isfinite(truth) & np.isfinite(said).all(1)
    if run.task.name == "binary":
        # a probability of one half or more is the second class
        said = np.eye(2)[(said[:, 0] >= CUT).astype(int)]
    counts = confusion(truth[known], np.nan_to_num(said[known]))
    rows: list[list[Inside]] = [
        [name, *(f"{int(count):,}" for count in own), percent(own[place] / max(own.sum(), 1))]
        for place, (name, own) in enumerate(zip(run.task.classes, counts, strict=True))
    ]
    names = ("measured", *(f"predicted {name}" for name in run.task.classes), "found")
    return table(names, rows, title="Test sequences by measured and predicted class")
