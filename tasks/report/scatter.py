"""A picture of predicted against measured numbers."""

import numpy as np

from bio_xlstm.tasks.report.markup import Markup
from bio_xlstm.tasks.report.plot import Plot, diagonal, dots, picture, whiskers
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.scale import linear

# points that are drawn
_MOST = 1500


def scatter(run: RunFiles, target: int, said: np.ndarray, baseline: str | None) -> Markup | None:
    """Draw what the model, or a baseline, says of the test sequences; intervals are those of the model."""
    truth = run.values[run.tested, target]
    known = np.flatnonzero(np.isfinite(truth) & np.isfinite(said))
    if not len(known):
        return None
    shown = known
    if len(known) > _MOST:
        shown = np.sort(np.random.default_rng(0).choice(known, _MOST, replace=False))
    # scores of a ranking have no unit
    unit = run.task.name == "regression"
    # intervals may reach far: the axes are made for the points of both pictures
    heights = [*run.predicted[run.tested, target], *said, *(truth if unit else ())]
    plot = Plot(linear(truth[known]), linear(heights, room=0.1), "measured", "predicted")
    ends = [] if baseline is not None else _intervals(run, target, shown)
    points = list(zip(truth[shown].tolist(), said[shown].tolist(), strict=True))
    marks = [
        whiskers(plot, ends, 0),
        diagonal(plot) if unit else None,
        dots(plot, points, 0 if baseline is None else 1),
    ]
    name = run.task.targets[target]
    who = "this model" if baseline is None else f"the baseline {baseline}"
    cut = f", {_MOST:,} of {len(known):,} drawn at random" if len(shown) < len(known) else ""
    lines = " Lines are prediction intervals." if ends else ""
    agreement = " Dashed: perfect agreement." if unit else ""
    caption = f"{name} by {who}: {len(known):,} test sequences{cut}.{lines}{agreement}"
    return picture(
        plot, marks, alt=f"Scatter plot of predicted against measured {name}, {who}", caption=caption
    )


def _intervals(run: RunFiles, target: int, shown: np.ndarray) -> list[tuple[float, float, float]]:
    """Return measured value, lower and upper end of the intervals that have ends."""
    if not run.low.shape[1]:
        return []
    columns = (side[run.tested, target][shown].tolist() for side in (run.values, run.low, run.high))
    return [one for one in zip(*columns, strict=True) if np.isfinite(one).all()]
