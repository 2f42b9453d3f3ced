"""What fine-tuning reached on every set, beside the best baseline: means over seeds, intervals, wins and losses."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from assay_run import Score
from assay_sets import ASSAYS, AssaySet
from measured import table
from scipy.stats import t as student

from bio_xlstm.tasks.assay.metrics.measure import LOWER_IS_BETTER

OURS = "ours"
WIN, TIE, LOSS = "win", "tie", "loss"
NAMES = {"auroc": "AUROC", "rmse": "RMSE", "spearman": "Spearman", "mcc": "MCC", "accuracy": "accuracy"}
_LEVEL = 0.975
Row = Mapping[str, Any]


class Reached(NamedTuple):
    """Hold a mean over seeds and half the width of its 95 % interval, NaN for one seed."""

    mean: float
    half: float


def summarise(name: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Describe what was reached on one set, a record per metric, the one that decides first.

    Of a set of many targets those count that are known for all seeds so far; the mean over them is the score of a seed.
    """
    one = ASSAYS[name]
    seeds = sorted({row["seed"] for row in rows})
    targets = sorted(
        target
        for target in {row["target"] for row in rows}
        if {row["seed"] for row in rows if row["target"] == target} == set(seeds)
    )
    rows = [row for row in rows if row["target"] in targets]
    return [_summary(name, one, metric, rows, targets, seeds) for metric in one.metrics] if rows else []


def _summary(
    name: str, one: AssaySet, metric: str, rows: Sequence[Row], targets: Sequence[str], seeds: Sequence[int]
) -> dict[str, Any]:
    """Compare with the baseline that is best by the mean."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    reached = {}
    for contender in (OURS, *rows[0]["baselines"]):
        grid = [[_score(rows, target, seed, contender, metric) for target in targets] for seed in seeds]
        reached[contender] = averaged(grid, given=one.given)
    own = reached[OURS]
    others = {k: v for k, v in reached.items() if k != OURS and np.isfinite(v.mean)}
    best = max(others, key=lambda k: sign * others[k].mean) if others else None
    theirs = others[best] if best else Reached(np.nan, np.nan)
    return {
        "set": name,
        "metric": metric,
        "seeds": len(seeds),
        "targets": len(targets),
        "of_targets": rows[0]["targets"],
        "train": round(sum(row["train"] for row in rows) / len(seeds)),
        "test": round(sum(row["test"] for row in rows) / len(seeds)),
        "reached": {k: {"mean": _plain(v.mean), "half": _plain(v.half)} for k, v in reached.items()},
        "best_baseline": best,
        "at_least_as_good": bool(sign * (own.mean - theirs.mean) >= 0),
        "result": verdict(own, theirs, sign),
        "gain": _gain(rows, targets, seeds, best, metric, sign),
        "targets_at_least_as_good": _targets_ahead(rows, targets, metric, sign),
        "seconds": round(sum(sum(row["seconds"].values()) for row in rows), 1),
    }


def _score(rows: Sequence[Row], target: str, seed: int, contender: str, metric: str) -> Score:
    """Find the score of a contender in one run."""
    row = next(row for row in rows if (row["target"], row["seed"]) == (target, seed))
    found: Score = (row[OURS] if contender == OURS else row["baselines"][contender])[metric]
    return found


def _gain(
    rows: Sequence[Row],
    targets: Sequence[str],
    seeds: Sequence[int],
    best: str | None,
    metric: str,
    sign: int,
) -> dict[str, float | None]:
    """Return how much better we are than a baseline on the same splits, and how sure that is over seeds."""
    if best is None:
        return {"mean": None, "half": None}

    def means(contender: str) -> np.ndarray:
        grid = [[_score(rows, target, seed, contender, metric)[0] for target in targets] for seed in seeds]
        return np.array([[_number(value) for value in line] for line in grid]).mean(1)

    ahead = sign * (means(OURS) - means(best))
    return {"mean": _plain(float(ahead.mean())), "half": _plain(_student(ahead))}


def averaged(grid: Sequence[Sequence[Score]], *, given: bool) -> Reached:
    """Average scores (seeds, targets); the interval is Student's over seeds.

    Where parts are given, seeds do not say what other test rows would change: their interval is added, as errors that
    have nothing to do with each other add up.
    """
    values = np.array([[_number(score[0]) for score in line] for line in grid])  # (S, T)
    means = values.mean(1)
    half = _student(means)
    if given:
        ends = np.array([[(_number(score[1]), _number(score[2])) for score in line] for line in grid])
        own = (ends[..., 1] - ends[..., 0]) / 2
        rows = np.sqrt(np.square(own).sum(1)).mean() / values.shape[1]
        half = float(np.hypot(half, rows))
    return Reached(float(means.mean()), float(half))


def _student(values: np.ndarray) -> float:
    """Return half the width of the 95 % interval of the mean of values (N,), NaN for one alone."""
    count = len(values)
    if count < 2:
        return np.nan
    return float(student.ppf(_LEVEL, count - 1) * values.std(ddof=1) / count**0.5)


def verdict(own: Reached, theirs: Reached, sign: int) -> str:
    """Say win or loss where intervals do not overlap, tie where they do, "" where there are none."""
    gap = sign * (own.mean - theirs.mean)
    width = own.half + theirs.half
    if not np.isfinite(gap) or not np.isfinite(width):
        return ""
    return TIE if abs(gap) <= width else WIN if gap > 0 else LOSS


def _targets_ahead(rows: Sequence[Row], targets: Sequence[str], metric: str, sign: int) -> int:
    """Count the targets on which no baseline has a better mean over seeds."""
    ahead = 0
    for target in targets:
        some = [row for row in rows if row["target"] == target]
        own = np.mean([_number(row[OURS][metric][0]) for row in some])
        others = [
            np.mean([_number(row["baselines"][name][metric][0]) for row in some])
            for name in some[0]["baselines"]
        ]
        ahead += all(not np.isfinite(other) or sign * (own - other) >= 0 for other in others)
    return int(ahead)


def report(summaries: Sequence[Mapping[str, Any]], asked: Iterable[str], seeds: int) -> str:
    """Write the table, the count, and what was not measured."""
    columns: dict[str, list[str]] = {
        "set": [_title(one, seeds) for one in summaries],
        "rows: train / test": [f"{one['train']:,} / {one['test']:,}" for one in summaries],
        "split": [ASSAYS[one["set"]].words for one in summaries],
        "metric": [NAMES[one["metric"]] for one in summaries],
        "fine-tuned": [_cell(one["reached"][OURS]) for one in summaries],
        "best baseline": [
            f"{_cell(one['reached'][one['best_baseline']])} {one['best_baseline']}"
            if one["best_baseline"]
            else "none"
            for one in summaries
        ],
        "result": [_result(one) for one in summaries],
    }
    known = {one["set"] for one in summaries}
    missing = [ASSAYS[name].title for name in asked if name not in known]
    return (
        f"{table(columns)}\n{_count(summaries)}\n"
        + (f"\nNot measured: {', '.join(missing)}.\n" if missing else "")
        + f"\n{LEGEND}"
    )


LEGEND = """\
Means over seeds; in brackets the 95 % interval of the mean (Student's), of sets that bring their split joined with the
bootstrap interval over their test rows. The best baseline is the one with the best mean on the test part. win and loss:
the intervals do not overlap. Of a set of several targets the mean over them counts; behind the semicolon, on how many
of them no baseline has a better mean.
"""


def _count(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Count the sets, each by the metric that decides."""
    deciding = [one for one in summaries if one["metric"] == ASSAYS[one["set"]].metrics[0]]
    ahead = sum(one["at_least_as_good"] for one in deciding)
    counts = {result: sum(one["result"] == result for one in deciding) for result in (WIN, TIE, LOSS)}
    words = f"{counts[WIN]} won, {counts[TIE]} tied, {counts[LOSS]} lost"
    return (
        f"**At least as good as the best baseline, by the mean of the first metric: {ahead} of {len(deciding)} sets; "
        f"by intervals {words}.**"
    )


def _title(one: Mapping[str, Any], seeds: int) -> str:
    """Name a set, and what is not yet known of it."""
    title = ASSAYS[one["set"]].title
    if one["of_targets"] > 1:
        whole = "" if one["targets"] == one["of_targets"] else f" of {one['of_targets']}"
        title += f", mean of {one['targets']}{whole} targets"
    return title if one["seeds"] == seeds else f"{title} (seeds: {one['seeds']} of {seeds})"


def _result(one: Mapping[str, Any]) -> str:
    """Write how a comparison ended."""
    result = one["result"] or ("at least equal" if one["at_least_as_good"] else "behind")
    if one["of_targets"] == 1:
        return str(result)
    return f"{result}; {one['targets_at_least_as_good']} of {one['targets']}"


def _cell(found: Mapping[str, float | None]) -> str:
    """Write a mean with its interval."""
    mean, half = found["mean"], found["half"]
    if mean is None:
        return "does not exist"
    return f"{mean:.3f}" if half is None else f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"


def _number(value: float | None) -> float:
    """Return NaN for what does not exist."""
    return np.nan if value is None else float(value)


def _plain(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if np.isfinite(value) else None
