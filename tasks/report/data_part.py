"""What the data hold: rows used and not, repeats, conflicts, classes or values, lengths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bio_xlstm.tasks.report.markup import Inside, Markup, joined
from bio_xlstm.tasks.report.plot import Plot, bars, picture
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.scale import counts, edges, linear
from bio_xlstm.tasks.report.sequences import excerpt
from bio_xlstm.tasks.report.tables import facts, note, number, percent, pictures, table

# targets whose values are drawn, classes and rows that are listed
_DRAWN, _LISTED = 4, 30
TITLE = "Data"


def data_part(run: RunFiles) -> Markup:
    """Describe the data."""
    audit = run.metrics["audit"]
    warned = [note(line, kind="warning") for line in audit["notes"]]
    constant = [f"{name!r} has one value alone: there is nothing to learn" for name in audit["constant"]]
    return joined(
        facts(_facts(audit)),
        warned,
        [note(line, kind="warning") for line in constant],
        _unused(run),
        _classes(audit),
        _missing(audit),
        pictures(_values(run), _lengths(run)),
    )


def _facts(audit: Mapping[str, Any]) -> dict[str, Inside]:
    """Count rows."""
    bad = {status: count for status, count in audit["statuses"].items() if status not in ("ok", "cleaned")}
    examples = "; ".join(" and ".join(map(str, pair)) for pair in audit["conflict_examples"])
    low, middle, high = audit["lengths"]
    return {
        "Rows of the input": f"{audit['input_rows']:,}",
        "Rows used": f"{audit['used']:,}",
        "Not used": ", ".join(f"{count:,} {status}" for status, count in bad.items()) or "none",
        "Rows that repeat a sequence": f"{audit['canonical_duplicates']:,}, letter by letter {audit['duplicates']:,}",
        "Sequences with conflicting values": f"{audit['conflicting']:,}"
        + (f" (such as rows {examples})" if examples else ""),
        "Length in characters": f"{low:,} to {high:,}, median {middle:,}",
    }


def _unused(run: RunFiles) -> Markup | None:
    """List the first rows that could not be used."""
    if not run.unused:
        return None
    shown = run.unused[:_LISTED]
    title = "Rows that are not used" + (
        f" (the first {_LISTED} of {len(run.unused):,})" if len(run.unused) > _LISTED else ""
    )
    rows = [(str(one.row), excerpt(one.sequence), one.status, one.detail) for one in shown]
    return table(("row", "sequence", "status", "reason"), rows, title=title, numbers=False)


def _classes(audit: Mapping[str, Any]) -> Markup | None:
    """Count the classes of every target, or what is yes and no of several."""
    counts: dict[str, dict[str, int]] = audit["class_counts"]
    if not counts:
        return None
    names = list(next(iter(counts.values())))[:_LISTED]
    rows = [
        (target, *(f"{own[name]:,} ({percent(own[name] / max(sum(own.values()), 1))})" for name in names))
        for target, own in list(counts.items())[:_LISTED]
    ]
    if len(counts) == 1:
        target, own = next(iter(counts.items()))
        total = max(sum(own.values()), 1)
        lines = [(name, f"{own[name]:,}", percent(own[name] / total)) for name in names]
        return table(("class", "rows", "share"), lines, title=f"Classes of {target}")
    return table(("target", *names), rows, title="Classes of every target, of the rows that have a value")


def _missing(audit: Mapping[str, Any]) -> Markup | None:
    """Tell which targets have gaps."""
    gaps = {name: count for name, count in audit["missing"].items() if count}
    if not gaps:
        return None
    rows = [
        (name, f"{count:,}", percent(count / audit["used"])) for name, count in list(gaps.items())[:_LISTED]
    ]
    return table(("target", "rows without a value", "share"), rows, title="Missing values")


def _values(run: RunFiles) -> list[Markup]:
    """Draw the values of the first targets, by part."""
    if not run.task.numeric:
        return []
    return [
        _histogram(run, column, target, "rows", f"{target}: {_spread(column)}")
        for target, column in list(zip(run.task.targets, run.values.T, strict=False))[:_DRAWN]
    ]


def _lengths(run: RunFiles) -> Markup:
    """Draw the lengths of the sequences."""
    lengths = np.array([len(text.strip()) for text in run.sequences], float)
    return _histogram(run, lengths, "length in characters", "rows", "Lengths of the sequences")


def _histogram(run: RunFiles, column: np.ndarray, x: str, y: str, caption: str) -> Markup:
    """Draw a histogram, the part that is tested on top of the rest."""
    tested = np.zeros(len(column), bool)
    if not run.folds:
        tested[run.tested] = True
    known = np.isfinite(column)
    at = edges(column[known])
    rest, test = (np.histogram(column[known & side], at)[0] for side in (~tested, tested))
    plot = Plot(linear([at[0], at[-1]], room=0), counts((rest + test).max()), x, y)
    marks = [bars(plot, at, rest.tolist(), 0), bars(plot, at, test.tolist(), 1, under=rest.tolist())]
    legend: Sequence[str] = () if run.folds else ("train and validation", "test")
    return picture(plot, marks, alt=f"Histogram of {caption}", caption=caption, legend=legend)


def _spread(column: np.ndarray) -> str:
    known = column[np.isfinite(column)]
    if not len(known):
        return "no values"
    return f"{number(known.min())} to {number(known.max())}, median {number(float(np.median(known)))}"
