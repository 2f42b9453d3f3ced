"""A picture of a training: loss of the episodes, and how good the learner was on assays held apart."""

import logging
import os
from pathlib import Path

from bio_xlstm.tasks.in_context.held_out import SIZES
from bio_xlstm.tasks.pretrain.curves import curve, running_mean
from bio_xlstm.tasks.pretrain.log_table import read_rows

log = logging.getLogger(__name__)


def draw_training(table: Path, picture: Path, title: str) -> bool:
    """Draw the log of a run as a PNG; without matplotlib, say so and go on."""
    try:
        # a figure of its own: pyplot would look for a screen
        from matplotlib.figure import Figure
    except ImportError:
        log.warning("%s is not drawn: it needs matplotlib (pip install 'bio-xlstm[plot]')", picture.name)
        return False
    rows = read_rows(table)
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    figure.suptitle(title)
    steps, losses = curve(rows, "loss")
    above.plot(steps, losses, color="tab:blue", alpha=0.3, linewidth=0.8, label="of twenty steps")
    if len(losses):
        above.plot(steps, running_mean(losses), color="tab:blue", label="running mean")
    above.set_ylabel("loss of queries")
    for size in SIZES:
        below.plot(*curve(rows, f"delta_auc_pr_{size}"), marker=".", label=f"support of {size}")
    below.set_ylabel("ΔAUC-PR, validation assays")
    below.set_xlabel("step")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend()
    partial = picture.with_name(f"{picture.name}.partial")
    figure.savefig(partial, format="png", dpi=110)
    os.replace(partial, picture)
    return True
