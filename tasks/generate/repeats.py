"""Repeats and stretches of low complexity, which language models fall into."""

from collections import Counter
from math import ceil, log, log2

# residues in a window of SEG (Wootton and Federhen 1993), and the entropy in bits below which it has few kinds
WINDOW, BITS = 12, 2.2
# share of a protein in such windows; most natural proteins have some
FEW_KINDS = 1 / 3
# the longest unit that is looked for, and how often it stands at least
LONGEST_UNIT, REPEATED = 10, 3
# how often a letter equals the one a unit before it, and how many runs as long as that are expected by chance
ALIKE = {"protein": 0.15, "dna": 0.3}
EXPECTED = 0.01


def remarks(sequence: str, kind: str) -> tuple[str, ...]:
    """Name what looks like a loop of the model: "repeat" or "low complexity".

    >>> remarks("MKT" + "GSA" * 5 + "DEFGHIKLMNPQ", "protein")
    ('repeat', 'low complexity')
    """
    looks = {
        "repeat": has_repeat(sequence, kind),
        "low complexity": kind == "protein" and few_kinds(sequence) > FEW_KINDS,
    }
    return tuple(name for name, seen in looks.items() if seen)


def has_repeat(sequence: str, kind: str) -> bool:
    """Tell whether a unit of up to ten letters follows itself more often than by chance in natural sequences."""
    least = least_run(len(sequence), kind)
    for size in range(1, min(LONGEST_UNIT, len(sequence)) + 1):
        # letters that equal the one a unit before them, without interruption
        wanted = max(least, (REPEATED - 1) * size)
        run = 0
        for here, before in zip(sequence[size:], sequence, strict=False):
            run = run + 1 if here == before else 0
            if run >= wanted:
                return True
    return False


def least_run(length: int, kind: str) -> int:
    """Return how many letters in a row must equal those a unit before; in longer sequences chance makes longer runs.

    >>> least_run(300, "protein"), least_run(300, "dna"), least_run(10_000, "dna")
    (7, 11, 14)
    """
    places = LONGEST_UNIT * max(length, 1)
    return ceil(log(places / EXPECTED) / -log(ALIKE.get(kind, max(ALIKE.values()))))


def few_kinds(sequence: str) -> float:
    """Return the share of a protein that SEG would mask, as it lies in windows of few kinds of letters."""
    masked = [False] * len(sequence)
    for begin in range(len(sequence) - WINDOW + 1):
        if entropy(sequence[begin : begin + WINDOW]) < BITS:
            masked[begin : begin + WINDOW] = [True] * WINDOW
    return sum(masked) / max(len(sequence), 1)


def entropy(letters: str) -> float:
    """Return the entropy of letters in bits."""
    total = len(letters)
    return -sum(count / total * log2(count / total) for count in Counter(letters).values())
