"""What one cell of a target column says: a number, a class, or nothing."""

import math
import re

# the one of the words for no value that is a name of a class too, as in promoter and none
NONE = "none"
# how people write that there is no value
MISSING = frozenset(("", "na", "nan", "n/a", "#n/a", "null", NONE, "-", "?", "<na>", "nat"))
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?\d+,\d+")
BOUND = re.compile(r"[<>≤≥~]=?\s*[+-]?\d.*")


def is_missing(cell: str) -> bool:
    """Say whether a cell stands for no value."""
    return cell.strip().lower() in MISSING


def is_number(cell: str) -> bool:
    """Say whether a cell is a finite number, written with a decimal point."""
    return bool(NUMBER.fullmatch(cell.strip())) and math.isfinite(float(cell))


def number(cell: str) -> float:
    """Return the number that a cell holds, NaN where it is empty; ValueError says in words why it is none."""
    text = cell.strip()
    if is_missing(text):
        return math.nan
    if is_number(text):
        return float(text)
    if COMMA.fullmatch(text):
        raise ValueError(f"{text!r} is not a number; write it with a decimal point")
    if BOUND.fullmatch(text):
        raise ValueError(f"{text!r} is a bound, not a number")
    if NUMBER.fullmatch(text) or text.lower().lstrip("+-") in ("inf", "infinity"):
        raise ValueError(f"{text!r} is not a finite number")
    shown = text if len(text) <= 20 else text[:20] + "..."
    raise ValueError(f"{shown!r} is not a number")
