"""HTML as a value: text is escaped wherever it enters, so that no sequence or column name can become markup."""

from collections.abc import Iterable
from html import escape
from typing import Union

# text is escaped; None is nothing
Inside = Union[str, int, None, "Markup", Iterable["Inside"]]
# elements that have no end
_VOID = ("meta", "br", "col")
# what no document may hold: control characters, and marks that turn the direction of what follows
_UNSAFE = {
    **dict.fromkeys((*range(9), 11, *range(14, 32), *range(127, 160)), "\ufffd"),
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"),
}


class Markup(str):
    """Mark text that is HTML or SVG already."""

    __slots__ = ()


def element(tag: str, *inside: Inside, **attributes: str | float | None) -> Markup:
    """Write an element; `class_` stands for class, other underscores for hyphens; None leaves an attribute out.

    Example::

        element("p", "1 < 2", class_="note")
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{text(_plain(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{written}>" + ("" if tag in _VOID else f"{joined(*inside)}</{tag}>"))


def joined(*inside: Inside) -> Markup:
    """Put text and markup together."""
    return Markup("".join(_pieces(inside)))


def text(value: str) -> Markup:
    """Escape text for any place in a document."""
    known = value.encode("utf-8", "replace").decode("utf-8")
    return Markup(escape(known.translate(_UNSAFE), quote=True))


def _pieces(inside: Inside) -> Iterable[str]:
    if inside is None:
        return
    if isinstance(inside, Markup):
        yield inside
    elif isinstance(inside, (str, int)):
        yield text(str(inside))
    else:
        for one in inside:
            yield from _pieces(one)


def _plain(value: str | float) -> str:
    """Write a coordinate with two digits at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
