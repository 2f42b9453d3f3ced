"""Whether uncertainty means what it says: intervals that cover, probabilities that come true, what lies far away."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from bio_xlstm.tasks.assay.metrics.binary import CUT, auroc
from bio_xlstm.tasks.assay.metrics.judge import ENOUGH
from bio_xlstm.tasks.assay.metrics.regression import rmse, spearman
from bio_xlstm.tasks.report.curves import Bin, reliability, wilson
from bio_xlstm.tasks.report.interval_plot import Row, interval_plot
from bio_xlstm.tasks.report.markup import Inside, Markup, element, joined
from bio_xlstm.tasks.report.plot import Plot, Point, diagonal, dots, line, picture, whiskers
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.scale import shares
from bio_xlstm.tasks.report.tables import metric, note, number, percent, pictures, table

TITLE = "Calibration and domain"
# targets whose coverage is taken apart
_TARGETS = 4
# rows below which an order of them, or a frequency, is chance
_FEWEST = 10


def calibration_part(run: RunFiles) -> Markup:
    """Show coverage or reliability, and how the domain matters."""
    found: list[Markup | None]
    if run.task.numeric:
        found = [
            _coverage_table(run),
            pictures([_coverage(run, one) for one in range(len(run.task.targets))[:_TARGETS]]),
        ]
    elif run.has_rows:
        found = [element("p", _way(run)), pictures(_reliability(run))]
    else:
        found = [note("Probabilities of single letters are not in predictions.csv: no calibration is drawn.")]
    return joined(found, _domain(run))


def _way(run: RunFiles) -> str:
    """Say how probabilities were calibrated."""
    how = run.metrics["calibration"].get("probabilities")
    if how is None:
        return "Probabilities are as the model gave them: too few rows to calibrate on."
    part = "the validation part"
    if run.folds:
        part = "all rows, by what models that had not seen them said; here, each fold is calibrated on the others"
    if how["method"] == "temperature":
        return f"Probabilities were divided by a temperature of {how['temperature']:.3g}, learned on {part}."
    return f"Probabilities follow a rising staircase (isotonic regression), learned on {part}."


def _coverage_table(run: RunFiles) -> Markup:
    """Compare the promised with the measured coverage."""
    found = run.metrics["coverage"]
    if found is None:
        why = "a score has no unit" if run.task.name == "ranking" else "too few rows to calibrate on"
        return note(f"There are no prediction intervals: {why}.")
    rows = [
        (name, percent(found["promised"]), percent(share), number(found["mean_width"][name]))
        for name, share in list(found["measured"].items())[:50]
    ]
    endless = [name for name, width in found["mean_width"].items() if width is None]
    told = note(
        "Too few rows to promise this coverage: intervals have no ends. Use a lower --coverage or more data.",
        kind="warning",
    )
    names = ("target", "promised", "measured in the test part", "mean width")
    words = run.metrics.get("calibrated")
    return joined(
        table(names, rows, title="Coverage of the prediction intervals"),
        note(f"{words.capitalize()}{'' if run.folds else '; training rows have none'}.") if words else None,
        told if endless else None,
    )


def _coverage(run: RunFiles, target: int) -> Markup | None:
    """Draw the coverage of narrow and wide intervals, near to and far from training."""
    if not run.low.shape[1] or not len(run.tested):
        return None
    truth, low, high = (side[run.tested, target] for side in (run.values, run.low, run.high))
    known = np.isfinite(truth) & np.isfinite(low) & np.isfinite(high)
    if known.sum() < 10:
        return None
    inside, width = (truth >= low) & (truth <= high), high - low
    cuts = np.quantile(width[known], [1 / 3, 2 / 3])
    near = run.similarity[run.tested] >= run.metrics["domain_threshold"]
    groups = {
        "all test sequences": known,
        "narrowest third of the intervals": known & (width <= cuts[0]),
        "middle third": known & (width > cuts[0]) & (width <= cuts[1]),
        "widest third": known & (width > cuts[1]),
    }
    # with folds, every sequence was trained on by some model
    if not run.folds:
        groups |= {"inside the domain": known & near, "outside the domain": known & ~near}
    rows = [_share(name, inside[mine]) for name, mine in groups.items() if mine.any()]
    promised = run.metrics["coverage"]["promised"]
    alt = "Coverage: " + "; ".join(f"{row.name} {percent(row.value)}" for row in rows)
    caption = (
        f"{run.task.targets[target]}: share of values inside their interval, with 95 % intervals (Wilson). Dashed: "
        f"the promised {percent(promised)}, which holds for all sequences together, not for every group."
    )
    return interval_plot(rows, "coverage", alt=alt, caption=caption, marked=promised)


def _share(name: str, inside: np.ndarray) -> Row:
    """Return the share of hits and how far it may be off."""
    share, count = float(inside.mean()), len(inside)
    return Row(f"{name} ({count:,})", share, *wilson(share, count))


def _reliability(run: RunFiles) -> Iterator[Markup]:
    """Draw probabilities against frequencies."""
    truth, said = run.values[run.tested], run.predicted[run.tested]
    known = np.isfinite(truth) & np.isfinite(said) if run.task.name != "multiclass" else None
    if known is None:
        kept = np.isfinite(truth[:, 0]) & np.isfinite(said).all(1)
        happened, chances = (said[kept].argmax(1) == truth[kept, 0]).astype(float), said[kept].max(1)
        what = "the most probable class being right"
    else:
        happened, chances = truth[known], said[known]
        what = f"{run.task.classes[-1]!r}" if run.task.name == "binary" else "all labels together"
    bins = reliability(happened, chances)
    if not bins:
        return
    plot = Plot(shares(), shares(), "predicted probability", "how often it came true")
    marks = [
        diagonal(plot),
        whiskers(plot, [(one.chance, one.low, one.high) for one in bins], 0, strong=True),
        [line(plot, _points(some), 0) for some in connected(bins)],
        dots(plot, _points(bins), 0, radius=3),
    ]
    caption = (
        f"Reliability of {what}, 10 bins of equal width, 95 % intervals (Wilson). Bins of {_FEWEST} and more are "
        "joined. Dashed: perfect calibration."
    )
    yield picture(plot, marks, alt=f"Reliability diagram of {what}", caption=caption)
    yield table(("probability", "came true", "95 % interval", "count"), map(_bin, bins), title="Bins")


def _points(bins: Iterable[Bin]) -> list[Point]:
    return [(one.chance, one.frequency) for one in bins]


def connected(bins: list[Bin]) -> list[list[Bin]]:
    """Return the runs of neighbouring bins that hold enough to be joined."""
    runs = [list(some) for full, some in groupby(bins, lambda one: one.size >= _FEWEST) if full]
    return [some for some in runs if len(some) > 1]


def _bin(one: Bin) -> tuple[Inside, ...]:
    return (
        percent(one.chance),
        percent(one.frequency),
        f"{percent(one.low)} to {percent(one.high)}",
        f"{one.size:,}",
    )


def _domain(run: RunFiles) -> Markup | None:
    """Compare test sequences that resemble the training sequences with those that do not."""
    if run.folds or not run.has_rows:
        return None
    border = run.metrics["domain_threshold"]
    near = run.similarity[run.tested] >= border
    groups = (("inside", near), ("outside", ~near))
    names, _ = _errors(run, near)
    rows = [(name, f"{int(mine.sum()):,}", *_errors(run, mine)[1]) for name, mine in groups]
    title = (
        f"Test sequences inside and outside the domain (similarity of {border:.2f} to a training sequence)"
    )
    return table(("domain", "test sequences", *names), rows, title=title)


def _errors(run: RunFiles, mine: np.ndarray) -> tuple[tuple[str, str], tuple[str, str]]:
    """Name and measure two errors of some test sequences, all targets together."""
    truth, said = run.values[run.tested][mine], run.predicted[run.tested][mine]
    if run.task.name == "multiclass":
        right = said.argmax(1) == truth[:, 0] if len(truth) else np.zeros(0)
        top = float(said.max(1).mean()) if len(truth) else np.nan
        return ("accuracy", "mean top probability"), (metric(_mean(right)), metric(top))
    known = np.isfinite(truth) & np.isfinite(said)
    true, guess = truth[known], said[known]
    if run.task.numeric:
        order = metric(spearman(true, guess) if len(true) >= _FEWEST else None)
        if run.task.name == "ranking":
            return ("Spearman", "least similar"), (order, metric(_least(run, mine)))
        return ("RMSE", "Spearman"), (metric(rmse(true, guess) if len(true) > 1 else None), order)
    right = (guess >= CUT) == (true == 1)
    both = min((true == one).sum() for one in (0, 1)) >= ENOUGH
    return ("accuracy", "AUROC"), (metric(_mean(right)), metric(auroc(true, guess) if both else None))


def _mean(found: np.ndarray) -> float:
    return float(found.mean()) if len(found) else np.nan


def _least(run: RunFiles, mine: np.ndarray) -> float | None:
    found = run.similarity[run.tested][mine]
    return float(found.min()) if len(found) else None
