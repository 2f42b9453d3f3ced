"""Text never becomes markup."""

import numpy as np
import pytest

from bio_xlstm.tasks.report.markup import Markup, element, joined, text
from bio_xlstm.tasks.report.scale import counts, edges, linear, logarithmic, shares


@pytest.mark.parametrize(
    "hostile", ["<script>", '" onload="x', "' onload='x", "&lt;", "</style>", "]]>", "<!--"]
)
def test_text_is_escaped_everywhere(hostile: str) -> None:
    import html

    written = element("p", hostile, [hostile, None], title=hostile)
    assert written.count("<") == 2 and written.count('"') == 2
    assert html.unescape(written).count(hostile) == 3


def test_markup_stays_as_it_is() -> None:
    inner = element("b", "x")
    assert element("p", inner, "<") == "<p><b>x</b>&lt;</p>"
    assert isinstance(joined(inner, "a"), Markup) and joined() == ""


def test_attributes_are_named_and_left_out() -> None:
    assert element("line", x1=1.0, y1=2.125, class_="a", stroke_width=2, title=None) == (
        '<line x1="1" y1="2.12" class="a" stroke-width="2"></line>'
    )
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_no_control_character_and_no_turned_text_remains() -> None:
    assert text("a\x00b\x1b\u202ec\ud800") == "a\ufffdb\ufffd\ufffdc?"
    assert text("tab\tand\nline") == "tab\tand\nline"


@pytest.mark.parametrize(
    "values",
    [
        *([0, 1], [-11.6, 1.58], [5], [0, 0], [1e-9, 3e-9], [1e12, 1.1e12], [1e-14, 3e-14], [-1e300, 1e300]),
        *([], [np.nan]),
    ],
)
def test_a_scale_holds_its_values_and_has_ticks(values: list[float]) -> None:
    scale = linear(values)
    assert 2 <= len(scale.ticks) <= 12 and scale.low < scale.high
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    assert all(0 <= scale.place(value) <= 1 for value in values if np.isfinite(value))
    assert len(scale.labels()) == len(scale.ticks) == len(set(scale.ticks))


def test_places_lie_between_0_and_1() -> None:
    assert shares().place(0.25) == 0.25 and shares().place(7) == 1 and shares().place(-7) == 0
    scale = logarithmic([10, 1000])
    assert scale.place(100) == pytest.approx(0.5) and scale.ticks == (10, 1000)
    assert counts(0).high > 0


@pytest.mark.parametrize(
    "values",
    [[0.1, 0.9, 0.5], [3, 3, 3], [1, 580, 40], [-4.5], [-1e6, 1e6], [-1e200, 2e200], [3e38, 1e30]],
)
def test_bins_hold_every_value(values: list[float]) -> None:
    at = edges(np.array(values, float))
    assert np.histogram(values, at)[0].sum() == len(values)
    assert (np.diff(at) > 0).all() and len(at) <= 60
