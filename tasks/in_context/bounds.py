"""Values that are only bounded, as people write them: `>10`, `<= 5`, `≥3`."""

import re
from collections.abc import Sequence

import numpy as np

from bio_xlstm.tasks.assay.cells import is_number

_SIGNED = re.compile(r"\s*([<>≤≥~])=?\s*(.*)")
_RELATIONS = {">": 1, "≥": 1, "<": -1, "≤": -1, "~": 0}


def unsigned(cell: str) -> tuple[str, int]:
    """Take the sign off a bounded value: the number as text, and 1 where the true value is above it, -1 below, else 0.

    >>> unsigned(">= 3"), unsigned("CCO")
    (('3', 1), ('CCO', 0))
    """
    found = _SIGNED.fullmatch(cell)
    if found is None or not is_number(found[2]):
        return cell, 0
    return found[2].strip(), _RELATIONS[found[1]]


def unsigned_column(cells: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Take the signs off a column (R,): numbers as text, and the relations (R,) int8."""
    pairs = [unsigned(cell) for cell in cells]
    return [text for text, _ in pairs], np.array([relation for _, relation in pairs], np.int8)
