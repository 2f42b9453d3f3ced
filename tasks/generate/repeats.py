"""Repeats and stretches of low complexity, which language models fall into."""

from collections import Counter
from math import log2

# residues in a window of SEG (Wootton and Federhen 1993), and the entropy in bits below which it has few kinds
WINDOW, BITS = 12, 2.2
# a run of one letter, or of a unit that follows itself
LONGEST_RUN, LONGEST_UNIT, REPEATED = 6, 10, 3


def remarks(sequence: str, kind: str) -> tuple[str, ...]:
    """Name what looks like a loop of the model: "repeat" or "low complexity".

    >>> remarks("MKT" + "GSA" * 5 + "DEFGHIKLMNPQ", "protein")
    ('repeat', 'low complexity')
    """
    looks = {"repeat": has_repeat(sequence), "low complexity": kind == "protein" and low_complexity(sequence)}
    return tuple(name for name, seen in looks.items() if seen)


def has_repeat(sequence: str) -> bool:
    """Tell whether a unit of up to ten letters follows itself often enough to be no chance."""
    for size in range(1, min(LONGEST_UNIT, len(sequence)) + 1):
        # letters that equal the one a unit before them, without interruption
        wanted = max(LONGEST_RUN, REPEATED * size) - size
        run = 0
        for here, before in zip(sequence[size:], sequence, strict=False):
            run = run + 1 if here == before else 0
            if run >= wanted:
                return True
    return False


def low_complexity(sequence: str) -> bool:
    """Tell whether some window holds so few kinds of letters that SEG would mask it."""
    return any(
        entropy(sequence[begin : begin + WINDOW]) < BITS for begin in range(len(sequence) - WINDOW + 1)
    )


def entropy(letters: str) -> float:
    """Return the entropy of letters in bits."""
    total = len(letters)
    return -sum(count / total * log2(count / total) for count in Counter(letters).values())
