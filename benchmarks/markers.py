"""Documents with measured parts: each stands between two marker lines that carry its name."""

from pathlib import Path

BEGIN, END = "<!-- measured: {name} -->", "<!-- end of measured: {name} -->"


def between_markers(text: str, name: str, body: str) -> str:
    """Replace what stands between the markers of a name."""
    begin, end = (marker.format(name=name) for marker in (BEGIN, END))
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise SystemExit(f"the document needs one line {begin} and one line {end} after it")
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n\n{body}\n\n{end}{after}"


def show(body: str, name: str, document: Path | None) -> None:
    """Print what was measured, or put it between the markers of its name where a document is given."""
    if document is None:
        print(body)
        return
    text = document.read_text(encoding="utf-8")
    document.write_text(between_markers(text, name, body), encoding="utf-8")
    print(f"wrote {document}")
