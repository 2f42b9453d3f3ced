"""A picture of a run: training loss, learning rate and held-out perplexity over the steps."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.tasks.pretrain.log_table import read_rows

log = logging.getLogger(__name__)

PERPLEXITY = "perplexity_"
# the running mean of the loss looks back over this share of its points
_SMOOTHED = 0.06

Curve = tuple[np.ndarray, np.ndarray]


def draw_curves(table: Path, picture: Path, title: str) -> bool:
    """Draw the log of a run as a PNG; without matplotlib, or without room for the file, say so and go on."""
    try:
        figure = _figure(read_rows(table), title)
        partial = picture.with_name(f"{picture.name}.partial")
        figure.savefig(partial, format="png", dpi=120)
        os.replace(partial, picture)
    except ImportError:
        log.warning("%s is not drawn: it needs matplotlib (pip install 'bio-xlstm[plot]')", picture.name)
        return False
    except OSError as error:
        log.warning("%s is not drawn: %s", picture, error)
        return False
    return True


def _figure(rows: Sequence[Mapping[str, str]], title: str) -> Any:
    """Lay three panels above each other."""
    # a figure of its own: pyplot would look for a screen
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 9), layout="constrained")
    loss, rate, held_out = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1.2, 3])
    figure.suptitle(title)
    _draw_loss(loss, curve(rows, "loss"))
    rate.plot(*curve(rows, "learning_rate"), color="tab:green")
    rate.set_ylabel("learning rate")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    _draw_perplexities(held_out, rows)
    held_out.set_xlabel("step")
    for axes in (loss, rate, held_out):
        axes.grid(alpha=0.3)
    return figure


def _draw_loss(axes: Any, points: Curve) -> None:
    """Draw every logged loss faintly and their running mean over it."""
    steps, values = points
    axes.plot(steps, values, color="tab:blue", alpha=0.3, linewidth=0.8, label="of one step")
    axes.plot(steps, running_mean(values), color="tab:blue", label="running mean")
    axes.set_ylabel("training loss (nats per token)")
    axes.legend()


def _draw_perplexities(axes: Any, rows: Sequence[Mapping[str, str]]) -> None:
    """Draw one curve per held-out domain on a logarithmic axis with plain numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

    names = [name for name in (rows[0] if rows else ()) if name.startswith(PERPLEXITY)]
    curves = {name.removeprefix(PERPLEXITY): curve(rows, name) for name in names}
    seen = {name: points for name, points in curves.items() if len(points[0])}
    for name, points in seen.items():
        axes.plot(*points, marker=".", label=name)
    axes.set_ylabel("held-out perplexity")
    if not seen:
        return
    axes.set_yscale("log")
    values = np.concatenate([points[1] for points in seen.values()])
    # powers of ten would leave a narrow range without labels
    narrow = values.max() < 10 * values.min()
    locator = MaxNLocator(8, steps=(1, 2, 5, 10)) if narrow else LogLocator(subs=(1, 2, 5))
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.legend()


def curve(rows: Sequence[Mapping[str, str]], name: str) -> Curve:
    """Return the steps and values of the rows that have a value in a column."""
    points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
    steps, values = zip(*points, strict=True) if points else ((), ())
    return np.array(steps, int), np.array(values, float)


def running_mean(values: np.ndarray) -> np.ndarray:
    """Average every value with those shortly before it."""
    width = max(1, round(len(values) * _SMOOTHED))
    total = np.concatenate([[0.0], np.cumsum(values)])
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - width, 0)
    return (total[last] - total[first]) / (last - first)
