"""Pictures of distributions: generated sequences over real ones."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bio_xlstm.tasks.evaluate.distances import finite
from bio_xlstm.tasks.evaluate.evaluation import Sample

GENERATED, REAL = "generated", "reference"
_COLORS = {GENERATED: "tab:blue", REAL: "0.75"}
_BINS, _COLUMNS = range(8, 41), 4
# shares of the values beyond which a few would squeeze all others into one bin
_TAILS = (0.5, 99.5)


def draw_histograms(samples: Sequence[Sample], shares: Mapping[str, Sequence[float]], title: str) -> bytes:
    """Draw one panel per property in % of the sequences, and one of the shares of letters if there are any, as PNG."""
    # a figure of its own: pyplot would look for a screen
    from matplotlib.figure import Figure

    known = [sample for sample in samples if len(finite(sample.generated))]
    # where every sequence has the same value there is nothing to see
    shown = [sample for sample in known if _varies(sample)] or known
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(3.4 * _COLUMNS, 2.6 * (rows + bool(shares)) + 0.6), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(rows + bool(shares), _COLUMNS)
    for place, sample in enumerate(shown):
        _histogram(figure.add_subplot(grid[place // _COLUMNS, place % _COLUMNS]), sample)
    if shares:
        _bars(figure.add_subplot(grid[rows, :]), shares)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def edges(values: np.ndarray, count: int, whole: bool) -> np.ndarray:
    """Return the borders of bins for all but the outermost values, more of them for larger sets: `count` values.

    The borders of whole numbers stand between them.
    """
    bins = min(max(round(2 * count ** (1 / 3)), _BINS.start), _BINS.stop - 1)
    low, high = np.percentile(values, _TAILS)
    if whole:
        width = max(1, round((high - low) / bins))
        return np.arange(np.floor(low), np.ceil(high) + width + 1, width) - 0.5
    if high - low < 1e-9 * max(abs(low), 1):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def _varies(sample: Sample) -> bool:
    """Tell whether two sequences of a sample differ."""
    real = [] if sample.reference is None else [finite(sample.reference)]
    return bool(np.ptp(np.concatenate([finite(sample.generated), *real])) > 0)


def _histogram(axes: Any, sample: Sample) -> None:
    """Draw shares, so that sets of different size compare; what lies beyond the borders counts in the last bins."""
    from matplotlib.ticker import MaxNLocator

    sets = {REAL: sample.reference, GENERATED: sample.generated}
    values = {name: finite(of) for name, of in sets.items() if of is not None and len(finite(of))}
    borders = edges(np.concatenate(list(values.values())), min(map(len, values.values())), sample.whole)
    for name, of in values.items():
        heights, _ = np.histogram(np.clip(of, borders[0], borders[-1]), borders)
        axes.stairs(
            100 * heights / len(of),
            borders,
            fill=name == REAL,
            color=_COLORS[name],
            linewidth=1.4,
            label=name,
        )
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=sample.whole))
    axes.set_xlabel(sample.words, fontsize=8)
    axes.set_ylabel("%", fontsize=8)
    axes.tick_params(labelsize=7)


def _bars(axes: Any, shares: Mapping[str, Sequence[float]]) -> None:
    """Draw the share of every letter."""
    heights = 100 * np.array(list(shares.values()))  # (letters, sets)
    names = (GENERATED, REAL)[: heights.shape[1]]
    width = 0.8 / len(names)
    for number, name in enumerate(reversed(names)):
        places = np.arange(len(shares)) + (number - (len(names) - 1) / 2) * width
        axes.bar(places, heights[:, names.index(name)], width, color=_COLORS[name])
    axes.set_xticks(range(len(shares)), list(shares))
    axes.set_ylabel("% of letters", fontsize=8)
    axes.tick_params(labelsize=8)
