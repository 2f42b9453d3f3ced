"""A picture of intervals, one row per model: the point is what was measured, the line how far it may be off."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bio_xlstm.tasks.report.markup import Inside, Markup, element, joined
from bio_xlstm.tasks.report.plot import WIDTH, framed, segment, shortened, words
from bio_xlstm.tasks.report.scale import linear

_ROW, _TOP, _BOTTOM = 40.0, 8.0, 40.0
_EDGE = 14.0


class Row(NamedTuple):
    """Hold one interval; without ends a point alone."""

    name: str
    value: float
    low: float | None
    high: float | None


def interval_plot(
    rows: Sequence[Row], label: str, *, alt: str, caption: Inside, marked: float | None = None
) -> Markup:
    """Draw rows below each other, the first one in its own colour; `marked` is a value to compare with."""
    scale = linear([end for row in rows for end in (row.value, row.low, row.high, marked) if end is not None])
    floor = _TOP + _ROW * len(rows)

    def across(value: float) -> float:
        return _EDGE + scale.place(value) * (WIDTH - 2 * _EDGE)

    found: list[Markup] = []
    for tick, name in zip(scale.ticks, scale.labels(), strict=True):
        found.append(segment((across(tick), _TOP), (across(tick), floor), "grid"))
        found.append(words(name, across(tick), floor + 15, "tick", "middle"))
    if marked is not None:
        found.append(segment((across(marked), _TOP), (across(marked), floor), "ideal"))
    for place, row in enumerate(rows):
        found.append(_row(row, across, _TOP + _ROW * place, 0 if not place else 1))
    found.append(words(label, WIDTH / 2, floor + 33, "label", "middle"))
    return framed(joined(found), floor + _BOTTOM, alt=alt, caption=caption)


def _row(row: Row, across: Callable[[float], float], top: float, series: int) -> Markup:
    """Draw one interval, its name above."""
    middle = top + 28
    ends = None
    if row.low is not None and row.high is not None:
        ends = segment((across(row.low), middle), (across(row.high), middle), f"interval s{series}")
    return joined(
        words(shortened(row.name, 56), _EDGE, top + 15, "name"),
        ends,
        element("circle", cx=across(row.value), cy=middle, r=4.5, class_=f"f{series}"),
    )
