"""How the data were divided, and what the test part shares with what is trained on."""

from typing import Any

import numpy as np

from bio_xlstm.tasks.report.markup import Markup, element, joined
from bio_xlstm.tasks.report.plot import Plot, bars, line, picture, segment
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.scale import counts, shares
from bio_xlstm.tasks.report.tables import note, number, percent, pictures, table

TITLE = "Split and leakage"


def split_part(run: RunFiles) -> Markup:
    """Describe the split and its audit."""
    split, leakage = run.metrics["split"], run.metrics["leakage"]
    words = (
        "Every row was tested once, by models that had not seen it."
        if run.folds
        else "The model was fitted on train, calibrated and stopped on validation, and judged on test alone."
    )
    leaked = any(leak["count"] for leak in leakage["leaks"])
    return joined(
        element("p", f"Method: {split['method']}. ", words),
        [note(line) for line in split["notes"]],
        _sizes(run),
        None if leaked else note(f"{leakage['lines'][0].capitalize()}.", kind="good"),
        _leaks(leakage),
        pictures(_similarity(run)),
    )


def _sizes(run: RunFiles) -> Markup:
    """Count the rows of every part, and what they measure."""
    sizes = run.metrics["split"]["sizes"]
    total = max(sum(sizes.values()), 1)
    parts = np.array(run.parts, dtype=object)
    alone = run.values.shape[1] == 1
    numeric = run.task.numeric
    names = ["part", "rows", "share"]
    if alone:
        names += ["median value", "least", "largest"] if numeric else list(run.task.classes[:10])
    rows = []
    for name, size in sizes.items():
        cells = [name, f"{size:,}", percent(size / total)]
        own = run.values[parts == name, 0] if alone else np.zeros(0)
        own = own[np.isfinite(own)]
        if alone and numeric:
            ends = (np.median(own), own.min(), own.max()) if len(own) else (np.nan,) * 3
            cells += [number(float(end)) for end in ends]
        elif alone:
            cells += [f"{int((own == place).sum()):,}" for place in range(len(run.task.classes[:10]))]
        rows.append(cells)
    return table(names, rows, title="Parts")


def _leaks(leakage: dict[str, Any]) -> Markup:
    """Write what was looked for and what was found."""
    rows = []
    for leak in leakage["leaks"]:
        pairs = "; ".join(f"{one} and {other}" for one, other in leak["examples"][:3])
        share = percent(leak["count"] / max(leak["looked_at"], 1))
        rows.append(
            (f"… {leak['words']}", f"{leak['count']:,} of {leak['looked_at']:,}", share, pairs or "–")
        )
    return table(
        ("test sequences that …", "found", "share", "such as rows"),
        rows,
        title="Audit of leakage",
        numbers=False,
    )


def _similarity(run: RunFiles) -> Markup | None:
    """Draw how similar test sequences are to the nearest that was trained on."""
    deciles = run.metrics["leakage"]["nearest"]
    if not deciles:
        return None
    alt = f"Similarity of test sequences to the nearest one trained on, median {deciles[5]:.2f}"
    if run.folds:
        plot = Plot(
            shares(), shares(), "similarity to the nearest one in training", "share of test sequences below"
        )
        drawn = line(plot, [(value, place / 10) for place, value in enumerate(deciles)], 0, dotted=True)
        return picture(plot, drawn, alt=alt, caption=f"{alt}.")
    known = run.similarity[run.tested]
    at = np.linspace(0, 1, 21)
    heights = np.histogram(known[np.isfinite(known)], at)[0]
    plot = Plot(
        shares(),
        counts(heights.max()),
        "similarity to the nearest training sequence",
        "test sequences",
    )
    border = float(run.metrics["domain_threshold"])
    mark = segment(plot.at(border, plot.y.low), plot.at(border, plot.y.high), "ideal")
    inside = float(np.mean(known >= border)) if len(known) else np.nan
    caption = (
        f"Similarity of test sequences to the nearest training sequence. {percent(inside)} lie right of the dashed "
        f"line, {border:.2f}: within the domain of the model."
    )
    return picture(plot, [bars(plot, at, heights.tolist(), 0), mark], alt=alt, caption=caption)
