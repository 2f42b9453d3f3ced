"""The tables of a few-shot benchmark: what every method reached, and what was asked beside it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from fewshot_sets import NUMBERS, SETS, FewshotSet
from measured import mean_interval, table, with_interval

from bio_xlstm.in_context.process import SLOTS

OURS, PRIOR, PERMUTED, SIMILARITY = "in-context", "prior", "permuted", "similarity"
NAMES = {"delta_auprc": "ΔAUC-PR", "auroc": "AUROC", "r2": "R²", "spearman": "Spearman", "rmse": "RMSE",
         "rmse_of_mean": "RMSE / RMSE of the mean", "rmse_marked": "RMSE of cliff molecules",
         "log_loss_of_share": "log loss / log loss of saying the support's share"}  # fmt: skip
AIMS = {16: 0.22, 64: 0.29}
COVERAGE, COVERAGE_SLACK = 0.9, 0.03
LIBRARY_SECONDS = 10
NOT_MEASURED = "not measured"
Found = Mapping[str, Mapping[str, Any]]
"""what `evaluate fewshot` wrote, by set"""


def report(
    found: Found,
    library: Mapping[str, Any] | None,
    published: Mapping[str, list[float | None]],
    official: Mapping[str, Any] | None = None,
) -> str:
    """Write all that was measured; `official` is of the learner that was trained on the official folds."""
    parts = ["## Asked and measured", "", asked(found, library, official)]
    for name, one in SETS.items():
        parts += ["", f"## {one.title}", "", f"{one.words[0].upper()}{one.words[1:]}.", ""]
        parts.append(_set(one, found[name]) if name in found else f"{NOT_MEASURED.capitalize()}.")
        if name == "fsmol" and published:
            parts += ["", _published(published, one.options["support"])]
    parts += ["", "## A library against one state", "", _library(library)]
    return "\n".join(parts)


def asked(found: Found, library: Mapping[str, Any] | None, official: Mapping[str, Any] | None) -> str:
    """Put every demand beside what was measured."""
    rows: list[tuple[str, str, str]] = []
    classes = found.get("fsmol")
    for size, aim in AIMS.items():
        rows += _above_baselines(classes, size)
        demand = f"ΔAUC-PR of {aim} at support {size}, trained on"
        for folds, value in (
            ("none of the molecules", _value(classes, OURS, size, "delta_auprc")),
            ("the official folds", _of_official(official, size)),
        ):
            rows.append((f"{demand} {folds}", _plain(value), _yes(value, lambda v, a=aim: v >= a)))
    for size in AIMS:
        rows += _context_counts(classes, size)
    for size in SETS["fsmol-numbers"].options["support"]:
        value = _value(found.get("fsmol-numbers"), OURS, size, "coverage")
        fits = _yes(value, lambda v: abs(v - COVERAGE) <= COVERAGE_SLACK)
        demand = (
            f"coverage of {COVERAGE:.0%} intervals within {COVERAGE_SLACK * 100:.0f} points at support {size}"
        )
        rows.append((demand, NOT_MEASURED if value is None else f"{value:.1%}", fits))
    rows += _of_library(library)
    for name in ("simpd", "simpd-numbers", "moleculeace"):
        first = SETS[name].metrics[0]
        for size in SETS[name].options["support"]:
            rows += _above_baselines(found.get(name), size, first, f"{SETS[name].title.split(':')[0]}, ")
    titles = ("asked", "measured", "reached")
    return table({title: [row[place] for row in rows] for place, title in enumerate(titles)})


def _of_official(official: Mapping[str, Any] | None, size: int) -> float | None:
    """Return the mean over assays of the learner trained on the official folds."""
    rows = [] if official is None else official["assays"]
    values = [row["delta_auprc"] for row in rows if (row["method"], row["support"]) == (OURS, size)]
    return float(np.mean(values)) if values else None


def _above_baselines(
    found: Mapping[str, Any] | None, size: int, metric: str = "delta_auprc", where: str = ""
) -> list[tuple[str, str, str]]:
    """Compare ours with the best baseline run beside it."""
    demand = f"{where}mean {NAMES[metric]} above every baseline at support {size}"
    value = _value(found, OURS, size, metric)
    others = {name: _value(found, name, size, metric) for name in _baselines(found)}
    known = {name: other for name, other in others.items() if other is not None}
    if value is None or not known:
        return [(demand, NOT_MEASURED, "")]
    best = max(known, key=lambda name: known[name])
    ahead = _difference(found, OURS, best, size, metric)
    words = f"{value:.3f}; best baseline {best} {known[best]:.3f}; ahead by {ahead}"
    return [(demand, words, _yes(value, lambda v: v > known[best]))]


def _context_counts(found: Mapping[str, Any] | None, size: int) -> list[tuple[str, str, str]]:
    """Compare ours with what it says without the support, with permuted labels, and without what was learned."""
    rows = []
    forms = (OURS, PRIOR, PERMUTED, SIMILARITY)
    known = {name: _value(found, name, size, "delta_auprc") for name in forms}
    for demand, one, other, below in (
        (f"clearly above its own prior at support {size}", OURS, PRIOR, False),
        (f"permuted labels bring it to the prior or below at support {size}", PERMUTED, PRIOR, True),
        (f"what was learned from assays adds something at support {size}", OURS, SIMILARITY, False),
    ):
        if None in (known[one], known[other]):
            rows.append((demand, NOT_MEASURED, ""))
            continue
        low, high = _interval(found, one, other, size, "delta_auprc")
        words = f"{one} - {other}: {_difference(found, one, other, size, 'delta_auprc')}"
        rows.append((demand, words, "yes" if (low <= 0 if below else low > 0) else "no"))
    return rows


def _of_library(library: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """Compare the time of a library and the sizes of states with what was asked."""
    speed = "a library of 100,000 encoded molecules in under ten seconds on two cores"
    size = "state size independent of the support; 1,000 examples work"
    bound = "a bound that no support exceeds"
    if library is None:
        return [(demand, NOT_MEASURED, "") for demand in (speed, size, bound)]
    states = library["states"]
    slowest = max(state["score_s"] for state in states) * 100_000 / library["molecules"]
    sizes = {
        state["support"]: state["bytes"] / 1e6 for state in sorted(states, key=lambda one: one["support"])
    }
    fast = library["threads"] <= 2 and slowest < LIBRARY_SECONDS
    written = ", ".join(f"{megabytes:.2f} MB at {support:,}" for support, megabytes in sizes.items())
    full = {megabytes for support, megabytes in sizes.items() if support >= SLOTS}
    return [
        (speed, f"{slowest:.1f} s, {library['threads']} threads", "yes" if fast else "no"),
        (size, written, "yes" if len(set(sizes.values())) == 1 and max(sizes) >= 1000 else "no"),
        (bound, f"that of {SLOTS:,} examples", "yes" if len(full) == 1 and max(sizes) > SLOTS else "no"),
    ]


def _set(one: FewshotSet, found: Mapping[str, Any]) -> str:
    """Write the tables of one set: a metric each, then intervals, groups and seconds."""
    parts = []
    sizes = sorted({row["support"] for row in found["results"]})
    for metric in one.metrics:
        methods = [
            name for name in found["methods"] if any(_row(found, name, size, metric) for size in sizes)
        ]
        columns = {NAMES[metric]: methods}
        for size in sizes:
            measured = found["assays_measured"][str(size)]
            title = f"support {size} ({measured} assays)"
            columns[title] = [_cell(_row(found, method, size, metric)) for method in methods]
        parts.append(table(columns))
    if one.metrics[: len(NUMBERS)] == NUMBERS:
        parts.append(_intervals(found, sizes))
    if one.groups:
        parts += [_groups(found, size) for size in sizes if size in AIMS]
    spent = ", ".join(f"{name} {seconds:,.0f}" for name, seconds in found["seconds"].items())
    count = len(found["seeds"])
    parts.append(
        f"Means over {count} draws, then over assays; in brackets 95 % over assays. Seconds: {spent}."
    )
    return "\n".join(parts)


def _intervals(found: Mapping[str, Any], sizes: list[int]) -> str:
    """Write what intervals of ours hold."""
    rows = {
        size: [_row(found, OURS, size, name) for name in ("coverage", "interval_width")] for size in sizes
    }
    columns = {"intervals of ours": ["share of values inside", "mean width", "assays"]}
    for size, (coverage, width) in rows.items():
        count = "-" if coverage is None else str(coverage["assays"])
        columns[f"support {size}"] = [_cell(coverage), _cell(width), count]
    return table(columns)


def _groups(found: Mapping[str, Any], size: int) -> str:
    """Write the first metric by group of assays, methods across."""
    names = sorted({row["group"] for row in found["results"]} - {""})
    if not names:
        return ""
    columns = {f"ΔAUC-PR at support {size}, by class of target": []}
    columns = {next(iter(columns)): [_group_title(found, name, size) for name in names]}
    for method in found["methods"]:
        rows = [_row(found, method, size, "delta_auprc", name) for name in names]
        columns[method] = [NOT_MEASURED if row is None else f"{row['value']:.3f}" for row in rows]
    return table(columns)


def _group_title(found: Mapping[str, Any], name: str, size: int) -> str:
    counts = {row["assays"] for row in found["results"] if (row["group"], row["support"]) == (name, size)}
    return f"{name} ({max(counts, default=0)})"


def _published(published: Mapping[str, list[float | None]], sizes: tuple[int, ...]) -> str:
    """Write what others published on the test fold, which is another set of assays."""
    columns = {"published ΔAUC-PR, test fold (157 other assays)": list(published)}
    for place, size in enumerate(sizes):
        columns[f"support {size}"] = [_plain(means[place]) for means in published.values()]
    return table(columns)


def _library(library: Mapping[str, Any] | None) -> str:
    if library is None:
        return f"{NOT_MEASURED.capitalize()}."
    states = library["states"]
    columns = {
        "examples in the support": [f"{state['support']:,}" for state in states],
        "reading it, s": [f"{state['read_s']:.3f}" for state in states],
        f"scoring {library['molecules']:,} points, s": [f"{state['score_s']:.2f}" for state in states],
        "size of the state, MB": [f"{state['bytes'] / 1e6:.2f}" for state in states],
    }
    note = (
        "random points, median of three; read with calibration on what is left out, scored with the spread, as the "
        "commands do it, but for encoding and the look for the nearest example; sizes are those of all tensors."
    )
    return f"{table(columns)}\n{library['threads']} threads, {library['machine']}; {note}"


def _baselines(found: Mapping[str, Any] | None) -> list[str]:
    return (
        []
        if found is None
        else [name for name in found["methods"] if name not in (OURS, PRIOR, PERMUTED, SIMILARITY)]
    )


def _row(
    found: Mapping[str, Any] | None, method: str, size: int, metric: str, group: str = ""
) -> Mapping[str, Any] | None:
    """Find a number."""
    wanted = {"method": method, "support": size, "metric": metric, "group": group, "minus": ""}
    rows = [] if found is None else found["results"]
    return next((row for row in rows if all(row[name] == wanted[name] for name in wanted)), None)


def _value(found: Mapping[str, Any] | None, method: str, size: int, metric: str) -> float | None:
    row = _row(found, method, size, metric)
    return None if row is None else float(row["value"])


def _differences(found: Mapping[str, Any] | None, one: str, other: str, size: int, metric: str) -> np.ndarray:
    """Return how far one method is ahead of another, assay by assay."""
    rows = [] if found is None else found["assays"]
    values = {(row["assay"], row["method"]): row.get(metric) for row in rows if row["support"] == size}
    names = sorted({name for name, _ in values})
    return np.array([values[name, one] - values[name, other] for name in names])


def _interval(
    found: Mapping[str, Any] | None, one: str, other: str, size: int, metric: str
) -> tuple[float, float]:
    return mean_interval(_differences(found, one, other, size, metric))


def _difference(found: Mapping[str, Any] | None, one: str, other: str, size: int, metric: str) -> str:
    """Write the mean difference with its interval over assays."""
    return with_interval(_differences(found, one, other, size, metric), "+")


def _yes(value: float | None, holds: Callable[[float], bool]) -> str:
    return "" if value is None else "yes" if holds(value) else "no"


def _plain(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.3f}"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    ends = "" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})"
    return f"{row['value']:.3f}{ends}"
