"""What more measurements may bring, and how training went."""

import math

from bio_xlstm.tasks.report.interval_plot import Row
from bio_xlstm.tasks.report.markup import Markup, element, joined
from bio_xlstm.tasks.report.plot import Plot, line, picture, segment
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.scale import linear, logarithmic
from bio_xlstm.tasks.report.tables import facts, metric, note, pictures
from bio_xlstm.tasks.report.verdict import best_baseline

TITLE = "Learning"
# members whose training is drawn
_DRAWN = 4


def learning_part(run: RunFiles) -> Markup:
    """Say what the heads see, and draw how they learned."""
    return joined(_heads(run), _drawn(run))


def _heads(run: RunFiles) -> Markup | None:
    """Say what cross-validation let the head of every member see, members that see the same in one line."""
    seen: dict[str, list[str]] = {}
    for number, one in enumerate(run.metrics["members"]):
        if one.get("sees"):
            seen.setdefault(one["sees"], []).append(str(number + 1))
    if not seen:
        return None
    alone = len(run.metrics["members"]) == 1
    found = facts(
        {("Head" if alone else f"Head of {', '.join(members)}"): words for words, members in seen.items()}
    )
    if run.metrics["method"] == "head":
        return found
    return joined(found, element("p", "Training began with this head, and changed it."))


def _drawn(run: RunFiles) -> Markup:
    """Draw the learning curve, and the losses of every member that was tuned."""
    tuned = [
        (number, one["training"]["curve"])
        for number, one in enumerate(run.metrics["members"])
        if one.get("training")
    ]
    curve = _curve(run)
    losses = [_losses(curve, number) for number, curve in tuned[:_DRAWN]]
    left = len(tuned) - len(losses)
    if curve is None and not losses:
        return note(
            "There is no learning curve: it is made for the method head without folds, from 40 training rows on."
        )
    words = (
        "The same form of head, fitted to growing shares of the training part. Where the curve still rises, more "
        "measurements are likely to help."
    )
    return joined(
        element("p", words) if curve else None,
        pictures(curve, losses),
        element("p", f"{left} more members are not drawn.") if left else None,
    )


def _curve(run: RunFiles) -> Markup | None:
    """Draw the main metric over the rows that were trained on."""
    points = [
        (float(one["rows"]), one["value"])
        for one in run.metrics["learning_curve"]
        if one["value"] is not None
    ]
    if len(points) < 2:
        return None
    best = best_baseline(run)
    rival = None if best is None else Row(best[0], best[1]["value"], None, None)
    heights = [value for _, value in points] + ([rival.value] if rival else [])
    plot = Plot(
        logarithmic([rows for rows, _ in points]),
        linear(heights, room=0.1),
        "training sequences",
        f"test {run.main}",
    )
    mark = (
        segment(plot.at(plot.x.low, rival.value), plot.at(plot.x.high, rival.value), "ideal")
        if rival
        else None
    )
    alt = f"Learning curve of {run.main}: " + "; ".join(
        f"{rows:,.0f} sequences {metric(value)}" for rows, value in points
    )
    dashed = f" Dashed: the best baseline, {rival.name}, on all training sequences." if rival else ""
    return picture(plot, [mark, line(plot, points, 0, dotted=True)], alt=alt, caption=f"{alt}.{dashed}")


def _losses(curve: list[dict[str, float | None]], number: int) -> Markup | None:
    """Draw training and validation loss of one member."""
    lines = {
        name: [
            (float(one["epoch"] or 0), value)
            for one in curve
            if (value := one[name]) is not None and math.isfinite(value)
        ]
        for name in ("train", "validation")
    }
    known = {f"{name} loss": points for name, points in lines.items() if points}
    every = [point for points in known.values() for point in points]
    if not every:
        return None
    plot = Plot(linear([x for x, _ in every]), linear([y for _, y in every]), "epoch", "loss")
    marks = [line(plot, points, place, dotted=True) for place, points in enumerate(known.values())]
    title = f"Losses of member {number + 1} over {int(max(x for x, _ in every))} epochs"
    return picture(plot, marks, alt=title, caption=f"{title}.", legend=tuple(known))
