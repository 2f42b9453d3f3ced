"""Numbers of things: compiled loops would write outside of buffers that were made for others."""

from operator import index
from typing import Any


def whole_number(name: str, value: Any, most: int) -> int:
    """Return a count as int; ValueError refuses what is not a whole number from 1 to `most`."""
    try:
        # True counts nothing, although Python takes it for 1
        count = 0 if isinstance(value, bool) else index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise ValueError(f"{name} must be a positive whole number, not {value!r}")
    if count > most:
        raise ValueError(f"{name} must be at most {most:,}, not {count:,}")
    return int(count)
