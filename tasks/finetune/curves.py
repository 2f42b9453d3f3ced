"""Pictures of a run: losses over epochs."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def draw_tuning(curve: Sequence[Mapping[str, Any]], picture: Path, title: str) -> bool:
    """Draw training and validation loss as a PNG; without matplotlib, say so and go on."""
    try:
        # a figure of its own: pyplot would look for a screen
        from matplotlib.figure import Figure
    except ImportError:
        log.warning("%s is not drawn: it needs matplotlib (pip install 'bio-xlstm[plot]')", picture.name)
        return False
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name in ("train", "validation"):
        points = [(one["epoch"], one[name]) for one in curve if one[name] is not None]
        if points:
            axes.plot(*zip(*points, strict=True), marker=".", label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.legend()
    axes.grid(alpha=0.3)
    partial = picture.with_name(f"{picture.name}.partial")
    figure.savefig(partial, format="png", dpi=120)
    os.replace(partial, picture)
    return True
