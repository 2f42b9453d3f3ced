"""Labels of every letter of a sequence: secondary structure, disorder, contacts with a ligand."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.tasks.assay.cells import is_missing

# letters that stand for no label
UNKNOWN = frozenset("-?")
SHARE = 0.95
SHORTEST = 5


def split_letters(cell: str) -> list[str]:
    """Return the labels of a cell: separated by blanks, commas or semicolons, or one per character."""
    parts = cell.replace(",", " ").replace(";", " ").split()
    return parts if len(parts) > 1 else list(parts[0]) if parts else []


def shows_letters(column: Sequence[str], sequences: Sequence[str]) -> bool:
    """Say whether nearly all cells have as many characters as their sequence has letters."""
    pairs = [
        (cell, text) for cell, text in zip(column, sequences, strict=True) if text and not is_missing(cell)
    ]
    if not pairs or sorted(len(text) for _, text in pairs)[len(pairs) // 2] < SHORTEST:
        return False
    return sum(len(split_letters(cell)) == len(text) for cell, text in pairs) >= SHARE * len(pairs)


def read_letters(
    column: Sequence[str], sequences: Sequence[str]
) -> tuple[tuple[str, ...], list[np.ndarray], dict[int, str]]:
    """Return the classes, the class of every letter of every row (-1 where missing), and what is wrong by row."""
    rows = [[] if is_missing(cell) else split_letters(cell) for cell in column]
    problems = {
        row: f"{len(labels)} labels for {len(text)} letters"
        for row, (labels, text) in enumerate(zip(rows, sequences, strict=True))
        if labels and text and len(labels) != len(text)
    }
    classes = tuple(sorted({label for labels in rows for label in labels} - UNKNOWN))
    numbers = {label: place for place, label in enumerate(classes)}
    values = [np.array([numbers.get(label, -1) for label in labels], np.int16) for labels in rows]
    return classes, values, problems
