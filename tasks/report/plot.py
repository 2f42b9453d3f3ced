"""Pictures as inline SVG: axes, and marks in them. Colours come from the style of the page, dark or light."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bio_xlstm.tasks.report.markup import Inside, Markup, element, joined
from bio_xlstm.tasks.report.scale import Scale

WIDTH, HEIGHT = 420.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 12.0, 10.0, 44.0
# colours that the style has; each has a dash of its own, so that lines differ without colours too
SERIES = 8
Point = tuple[float, float]


@dataclass(frozen=True)
class Plot:
    """Hold the axes of a picture."""

    x: Scale
    y: Scale
    x_label: str
    y_label: str
    x_words: Sequence[str] | None = None
    """labels of the ticks of x, where they are no numbers"""

    def at(self, x: float, y: float) -> Point:
        """Return where a point lies in the picture."""
        return self.across(x), self.up(y)

    def across(self, x: float) -> float:
        """Return how far from the left a value of x is."""
        return _LEFT + self.x.place(x) * (WIDTH - _LEFT - _RIGHT)

    def up(self, y: float) -> float:
        """Return how far from the top a value of y is."""
        return _TOP + (1 - self.y.place(y)) * (HEIGHT - _TOP - _BOTTOM)

    def axes(self) -> Markup:
        """Draw ticks, grid and labels."""
        right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        found: list[Markup] = []
        for tick, label in zip(self.x.ticks, self.x_words or self.x.labels(), strict=True):
            across = self.across(tick)
            found.append(segment((across, _TOP), (across, bottom), "grid"))
            found.append(words(label, across, bottom + 15, "tick", "middle"))
        for tick, label in zip(self.y.ticks, self.y.labels(), strict=True):
            up = self.up(tick)
            found.append(segment((_LEFT, up), (right, up), "grid"))
            found.append(words(label, _LEFT - 6, up + 4, "tick", "end"))
        middle = (_TOP + bottom) / 2
        turned = f"rotate(-90 12 {middle:.1f})"
        found.append(words(shortened(self.x_label, 56), (_LEFT + right) / 2, HEIGHT - 8, "label", "middle"))
        found.append(words(shortened(self.y_label, 40), 12.0, middle, "label", "middle", turned))
        found.append(segment((_LEFT, bottom), (right, bottom), "axis"))
        return joined(found)


def picture(plot: Plot, marks: Inside, *, alt: str, caption: Inside, legend: Sequence[str] = ()) -> Markup:
    """Draw a picture with its caption; `alt` says what is seen to who cannot see it."""
    return framed(joined(plot.axes(), marks), HEIGHT, alt=alt, caption=caption, legend=legend)


def framed(marks: Inside, height: float, *, alt: str, caption: Inside, legend: Sequence[str] = ()) -> Markup:
    """Put marks into a figure of its own."""
    drawn = element("svg", marks, viewBox=f"0 0 {WIDTH:g} {height:g}", role="img", aria_label=alt)
    keys = [
        element("li", _key(number), shortened(name, 60))
        for number, name in enumerate(legend)
        if len(legend) > 1
    ]
    return element(
        "figure",
        drawn,
        element("ul", keys, class_="legend") if keys else None,
        element("figcaption", caption),
    )


def segment(begin: Point, end: Point, class_: str) -> Markup:
    """Draw a straight line."""
    return element("line", x1=begin[0], y1=begin[1], x2=end[0], y2=end[1], class_=class_)


def words(
    content: str, x: float, y: float, class_: str, anchor: str = "start", transform: str | None = None
) -> Markup:
    """Write words into a picture."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor, transform=transform)


def line(plot: Plot, points: Iterable[Point], series: int, *, dotted: bool = False) -> Markup:
    """Draw a line through points, with a dot at each where `dotted`."""
    places = [plot.at(*point) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [element("circle", cx=x, cy=y, r=3, class_=f"f{series % SERIES}") for x, y in places]
    return joined(
        element("polyline", points=path, class_=f"line s{series % SERIES}"), dots if dotted else None
    )


def dots(plot: Plot, points: Iterable[Point], series: int, radius: float = 2.5) -> Markup:
    """Draw points."""
    places = [plot.at(*point) for point in points]
    return joined(
        element("circle", cx=x, cy=y, r=radius, class_=f"dot f{series % SERIES}") for x, y in places
    )


def whiskers(
    plot: Plot, ends: Iterable[tuple[float, float, float]], series: int, *, strong: bool = False
) -> Markup:
    """Draw an upright line from `low` to `high` at every x, faint unless `strong`."""
    found = [(plot.at(x, low), plot.at(x, high)) for x, low, high in ends]
    class_ = f"whisker s{series % SERIES}" + (" strong" if strong else "")
    return joined(segment(low, high, class_) for low, high in found)


def bars(
    plot: Plot, edges: np.ndarray, heights: Sequence[float], series: int, *, under: Sequence[float] = ()
) -> Markup:
    """Draw bars between edges, on top of others where these are given."""
    found = []
    for place, height in enumerate(heights):
        floor = under[place] if len(under) else 0.0
        left, right = plot.across(edges[place]), plot.across(edges[place + 1])
        top, bottom = plot.up(floor + height), plot.up(floor)
        if height:
            size = {"width": max(right - left - 1, 0.5), "height": bottom - top}
            found.append(element("rect", x=left + 0.5, y=top, **size, class_=f"bar f{series % SERIES}"))
    return joined(found)


def diagonal(plot: Plot) -> Markup:
    """Draw where y equals x."""
    low, high = max(plot.x.low, plot.y.low), min(plot.x.high, plot.y.high)
    return segment(plot.at(low, low), plot.at(high, high), "ideal")


def shortened(name: str, most: int) -> str:
    """Cut the middle out of long names."""
    return name if len(name) <= most else f"{name[: most * 2 // 3 - 1]}…{name[-(most // 3) :]}"


def _key(number: int) -> Markup:
    """Draw a piece of a line for a legend."""
    piece = segment((0, 6), (22, 6), f"line s{number % SERIES}")
    return element("svg", piece, viewBox="0 0 22 12", width=22, height=12, aria_hidden="true")
