"""Say in few words what was measured: one sentence, then one line for each case and pass."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
ONCE = "ran once"
NO_RUN = "-"


def failed(row: Row) -> bool:
    """Tell whether something of ours failed."""
    return row.get("role", "ours") in ("ours", "backend") and row["note"].startswith("failed")


def speed_section(rows: Sequence[Row]) -> str:
    """Return what was reached and a table, for each group of cases."""
    if not rows:
        return "Nothing was measured.\n"
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return "\n".join(f"{_reached(group)}\n\n{_table(group)}" for group in groups.values())


def memory_section(rows: Sequence[Row]) -> str:
    """Return what a step needed, and the table."""
    shares = [row["peak"] / row["held"] for row in rows if not row["note"]]
    if not shares:
        parts = ["Nothing was measured.\n"]
    else:
        parts = [f"A step needs {span(shares)} of what holding every intermediate would take.\n"]
    lines = [["model", "tokens", "step, peak MB", "plain form, held MB", "share"]]
    for row in rows:
        numbers = [NO_RUN, NO_RUN, row["note"]]
        if not row["note"]:
            peak, held = row["peak"], row["held"]
            numbers = [f"{peak / 1e6:,.0f}", f"{held / 1e6:,.0f}", f"{peak / held:.2f}"]
        lines.append(
            [f"{row['family']}, {row['blocks']} blocks", f"{row['batch']} x {row['time']:,}", *numbers]
        )
    return "\n".join([*parts, markdown(lines)])


def span(values: Iterable[float]) -> str:
    """Format the least and the greatest of some ratios."""
    ordered = sorted(values)
    low, high = f"{ordered[0]:.2f}", f"{ordered[-1]:.2f}"
    return low if low == high else f"{low} to {high}"


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a table, the first line its head."""
    head, *rest = lines
    rule = "|" + "---|" * len(head)
    return "\n".join(
        ["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(line) + " |" for line in rest), ""]
    )


def share_of(row: Row, bound: str = "of_bound") -> float | None:
    """Return the median share of a bound that a row reached, if it ran and has this bound."""
    return row[bound]["median"] if row.get(bound) else None


def _reached(rows: Sequence[Row]) -> str:
    """Say in one sentence which shares of the bound were reached."""
    ours = [row for row in rows if row["role"] == "ours"]
    words = []
    for kind in dict.fromkeys((row["pass"], row["dtype"]) for row in ours):
        cells = [row for row in ours if (row["pass"], row["dtype"]) == kind]
        found = []
        for bound, name in (("of_bound", ""), ("of_float32_bound", " of the float32 products")):
            shares = [share for share in (share_of(row, bound) for row in cells) if share is not None]
            found += [span(shares) + name] if shares else []
        words.append(f"{' in '.join(kind)} {' and '.join(found) or 'failed'}")
    by = f" by {rows[0]['group']}" if rows[0]["group"] else ""
    return f"Reached{by}, as a share of the bound: {'; '.join(words)}."


def _table(rows: Sequence[Row]) -> str:
    """Return one line per cell: our time, our shares of the bounds, and what the others take against it."""
    cells: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        cells.setdefault(tuple(row[key] for key in ("case", "pass", "dtype")), []).append(row)
    timed = [row for row in rows if "median_s" in row]
    others = list(dict.fromkeys(row["contender"] for row in timed if row["role"] in ("backend", "peer")))
    float32 = any(row.get("of_float32_bound") for row in timed)
    head = ["case", "pass", "dtype", "ours, ms", "of bound", *["of float32 products"] * float32]
    lines = [[*head, *others]]
    for names, cell in cells.items():
        ours = next((row for row in cell if row["role"] == "ours"), None)
        if ours is None:
            continue
        shares = [_number(share_of(ours, bound)) for bound in ("of_bound", "of_float32_bound")[: 1 + float32]]
        against = {row["contender"]: _against(row) for row in cell}
        time = _milliseconds(ours["median_s"]) if "median_s" in ours else "**failed**"
        case = names[0].removeprefix(f"{ours['group']} ")
        lines.append([case, *names[1:], time, *shares, *(against.get(other, NO_RUN) for other in others)])
    return markdown(lines) + _remarks(rows, others)


def _remarks(rows: Sequence[Row], others: Sequence[str]) -> str:
    """Say what is peculiar about contenders, and which did not run and why."""
    notes: dict[str, list[str]] = {}
    for row in rows:
        note = row["note"].removesuffix(ONCE).rstrip(", ")
        if note and row["role"] not in ("bound", "float32 bound"):
            where = "" if "median_s" in row or row["contender"] not in others else f" ({row['case']})"
            found = notes.setdefault(row["contender"], [])
            if note + where not in found:
                found.append(note + where)
    texts = [f"{name}: {'; '.join(found)}." for name, found in notes.items()]
    if any(ONCE in row["note"] for row in rows):
        texts.append("*: ran once.")
    return "\n" + " ".join(texts) + "\n" if texts else ""


def _against(row: Row) -> str:
    """Format how many times our time a contender took."""
    if not row.get("against_ours"):
        return "failed" if row["note"].startswith("failed") else NO_RUN
    times = row["against_ours"]["median"]
    digits = f"{times:.0f}" if times >= 20 else f"{times:.1f}" if times >= 2 else f"{times:.2f}"
    return f"{digits} x{'*' if ONCE in row['note'] else ''}"


def _number(value: float | None) -> str:
    """Format a share."""
    return NO_RUN if value is None else f"{value:.2f}"


def _milliseconds(seconds: float) -> str:
    """Format seconds as milliseconds with three digits."""
    return f"{seconds * 1e3:,.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.3g}"
