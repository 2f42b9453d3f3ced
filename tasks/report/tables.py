"""Tables and numbers as the report writes them."""

import math
from collections.abc import Iterable, Mapping, Sequence

from bio_xlstm.tasks.report.markup import Inside, Markup, element


def table(
    names: Sequence[str], rows: Iterable[Sequence[Inside]], *, title: str, numbers: bool = True
) -> Markup:
    """Write a table whose first column names the rows; it scrolls by itself where the screen is narrow."""
    head = element("tr", [element("th", name, scope="col") for name in names])
    lines = [
        element("tr", element("th", row[0], scope="row"), [element("td", cell) for cell in row[1:]])
        for row in rows
    ]
    found = element(
        "table",
        element("thead", head),
        element("tbody", lines),
        class_="numbers" if numbers else None,
        aria_label=title,
    )
    scrolled = element("div", found, class_="scroll", tabindex=0, role="region", aria_label=title)
    # above what scrolls, so that it is read on a telephone too
    return element("div", element("p", title, class_="title"), scrolled)


def facts(found: Mapping[str, Inside]) -> Markup:
    """Write pairs of a name and what it is."""
    pairs = [element("div", element("dt", name), element("dd", content)) for name, content in found.items()]
    return element("dl", pairs)


def note(*inside: Inside, kind: str = "note") -> Markup:
    """Write a sentence that stands out; `kind` is note, good or warning."""
    return element("p", *inside, class_=kind)


def number(value: float | None) -> str:
    """Write a measured number with four digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:.3e}"


def metric(value: float | None) -> str:
    """Write a metric with three decimals, in another form where these say nothing."""
    if value is None or not math.isfinite(value):
        return "–"
    # below, a rounding error is nothing
    if abs(value) < 1e-9:
        return "0.000"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1e5 else f"{value:.2g}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Write a metric and its interval."""
    return metric(value) + ("" if low is None or value is None else f" ({metric(low)} to {metric(high)})")


def percent(share: float | None) -> str:
    """Write a share of one."""
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def pictures(*found: Inside) -> Markup:
    """Lay pictures out beside each other where there is room."""
    return element("div", *found, class_="pictures")
