"""How many tokens wait in the window before they are folded into the matrix memory: the cheapest number.

Cost counts the numbers read and written per sequence and head. A step reads the window of w tokens, w (K + V), and the
memory, K V, once there is one. Folding reads the window once more and reads and writes the memory.
"""

from typing import NamedTuple

from bio_xlstm.kernels.decode.counts import whole_number

# tokens are read in groups, and buffers of a round size keep rows aligned
_ROUND = 16
_LONGEST = 1 << 16


class Windows(NamedTuple):
    """Say how many tokens are kept before a fold; results do not depend on it."""

    first: int
    """Tokens kept while the matrix memory is empty and need not be read."""
    later: int
    """Tokens kept once the matrix memory holds something."""


def check_windows(windows: Windows) -> Windows:
    """Return the two lengths as whole numbers; ValueError refuses what is no pair of positive lengths."""
    if not isinstance(windows, tuple) or len(windows) != len(Windows._fields):
        raise ValueError(f"windows must be Windows(first, later), not {windows!r}")
    names = (f"windows.{name}" for name in Windows._fields)
    return Windows(
        *(whole_number(name, length, _LONGEST) for name, length in zip(names, windows, strict=True))
    )


def window_costs(key: int, value: int, window: int) -> float:
    """Return the mean cost of a step where memory is read and every `window` tokens are folded."""
    reading = key * value + (window - 1) / 2 * (key + value)
    folding = 2 * key * value + window * (key + value)
    return reading + folding / window


def window_lengths(key: int, value: int) -> Windows:
    """Choose the lengths for heads of a key and a value width.

    The first fold is a purchase and the long window a rent: keeping it costs more per step than going on with folded
    memory would, and it is given up when the surplus paid has reached the price of folding. Whatever the length of
    the sequence turns out to be, that costs at most twice the best.
    """
    row = key + value
    later = min(range(1, 4 * _ROUND + 1), key=lambda window: window_costs(key, value, window))
    usual, first, surplus = window_costs(key, value, later), 1, 0.0
    while surplus < key * value + first * row:
        first += 1
        surplus += max(0.0, first * row - usual)
    return Windows(-(-first // _ROUND) * _ROUND, later)
