"""A picture of a full scan: every position by every letter, blocks of positions below each other."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.tasks.variants.agreement import read_columns
from bio_xlstm.tasks.variants.scan_input import ID, NEW, POSITION, WILD
from bio_xlstm.variants.mutations import LETTERS

log = logging.getLogger(__name__)

# positions of one row of a picture, and positions of a picture at most
_WIDTH, _MOST = 100, 2000
# letters in the order of their kind: small, fatty, aromatic, polar, acid, basic
_ORDER = {"protein": "GASTCPVILMFWYNQDEHKR", "dna": LETTERS["dna"]}


class Scan(NamedTuple):
    """Hold the ratios of one sequence."""

    name: str
    wild: str
    ratios: np.ndarray  # (letters, T) NaN where nothing was computed


def draw_heatmap(table: Path, form: str, value: str, kind: str, picture: Path, title: str) -> str:
    """Draw the scan in a finished table as PNG or SVG, by the suffix; return a line about it."""
    scans = read_scans(table, form, value, kind)
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        return f"{picture} is not drawn: it needs matplotlib (pip install 'bio-xlstm[plot]')"
    if not scans:
        return f"{picture} is not drawn: no substitution has a value"
    scan, *more = scans
    # the picture of equal numbers has equal bytes
    with rc_context({"svg.hashsalt": "bio_xlstm"}):
        figure = Figure(layout="constrained")
        _draw(figure, scan, _ORDER[kind], title)
        beside = picture.with_name(f"{picture.name}.tmp")
        suffix = picture.suffix.lower().removeprefix(".")
        figure.savefig(beside, format=suffix, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
    os.replace(beside, picture)
    left = f" of {scan.name or 'the first sequence'}, without the {len(more)} others" if more else ""
    cut = f", positions 1 to {_MOST:,} alone" if len(scan.wild) > _MOST else ""
    return f"drew {picture}{left}{cut}"


def read_scans(table: Path, form: str, value: str, kind: str) -> list[Scan]:
    """Read the substitutions of every sequence out of a table."""
    order = _ORDER[kind]
    found: dict[str, dict[int, tuple[str, dict[str, float]]]] = {}
    for name, position, wild, new, ratio in read_columns(table, form, (ID, POSITION, WILD, NEW, value)):
        if position and ratio:
            letters = found.setdefault(name, {}).setdefault(int(position), (wild, {}))[1]
            letters[new] = float(ratio)
    return [_scan(name, places, order) for name, places in found.items()]


def _scan(name: str, places: Mapping[int, tuple[str, Mapping[str, float]]], order: str) -> Scan:
    """Lay the values of one sequence out as a table."""
    length = max(places)
    ratios = np.full((len(order), length), np.nan)
    wild = ["?"] * length
    for position, (letter, values) in places.items():
        wild[position - 1] = letter
        for new, ratio in values.items():
            ratios[order.index(new), position - 1] = ratio
    return Scan(name, "".join(wild), ratios)


def _draw(figure: Any, scan: Scan, order: str, title: str) -> None:
    """Draw the blocks of a scan, all in one scale that is white at zero."""
    length = min(len(scan.wild), _MOST)
    begins = range(0, length, _WIDTH)
    width = min(_WIDTH, length)
    figure.set_size_inches(max(4.0, 2.2 + 0.14 * width), 0.9 + len(begins) * (0.16 * len(order) + 0.75))
    panels = figure.subplots(len(begins), 1, squeeze=False)[:, 0]
    # a few extremes must not pale the rest
    limit = float(np.nanquantile(np.abs(scan.ratios[:, :length]), 0.98)) or 1.0
    for panel, begin in zip(panels, begins, strict=True):
        end = min(begin + _WIDTH, length)
        image = _draw_block(panel, scan, order, range(begin, end), limit)
        panel.set_xlim(begin + 0.5, begin + width + 0.5)
    figure.colorbar(
        image, ax=list(panels), label="log-likelihood ratio (nats)", extend="both", shrink=0.9, pad=0.01
    )
    panels[-1].set_xlabel("position")
    figure.suptitle(f"{scan.name}  {title}".strip(), fontsize=10)


def _draw_block(panel: Any, scan: Scan, order: str, places: Sequence[int], limit: float) -> Any:
    """Draw some positions: colours, the wild type as dots, its letters above."""
    first, last = places[0], places[-1] + 1
    edges = (first + 0.5, last + 0.5, len(order) - 0.5, -0.5)
    panel.set_facecolor("0.85")
    image = panel.imshow(
        scan.ratios[:, first:last], extent=edges, aspect="auto", cmap="RdBu", vmin=-limit, vmax=limit,
        interpolation="nearest",
    )  # fmt: skip
    dots = [(place + 1, order.index(scan.wild[place])) for place in places if scan.wild[place] in order]
    panel.scatter(*zip(*dots, strict=True), s=3, color="0.3", linewidths=0)
    panel.set_yticks(range(len(order)), list(order), fontsize=6, family="monospace")
    panel.set_xticks([place + 1 for place in places if (place + 1) % 10 == 0 or place == first])
    panel.tick_params(axis="x", labelsize=7, length=2)
    panel.tick_params(axis="y", length=0)
    above = panel.secondary_xaxis("top")
    above.set_xticks(
        [place + 1 for place in places], list(scan.wild[first:last]), fontsize=6, family="monospace"
    )
    above.tick_params(length=0, pad=1)
    return image
