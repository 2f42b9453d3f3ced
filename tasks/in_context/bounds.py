"""Values that are only bounded: as people write them (`>10`, `<= 5`, `≥3`), or as a column of its own says."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bio_xlstm.records.columns import normal
from bio_xlstm.tasks.assay.cells import is_number
from bio_xlstm.tasks.assay.columns import RELATIONS
from bio_xlstm.tasks.assay.metrics.regression import spearman
from bio_xlstm.tokenizers.tokenizer import counted

Columns = Mapping[str, Sequence[str]]
_SIGNED = re.compile(r"\s*([<>≤≥~])=?\s*(.*)")
_SIGNS = {">": 1, "≥": 1, "<": -1, "≤": -1}
# the measurement as it was written down; a relation is its, not that of its logarithm
_RAW = ("regression_property", "standard_value", "raw_value")
# negative logarithms of concentrations
_TURNED = ("pchembl_value", "pic50", "pki", "pkd", "pec50", "log_regression_property")


class Bounded(NamedTuple):
    """Hold a column of numbers (R,), some of which are only bounded."""

    cells: list[str]  # (R,) without signs
    relations: np.ndarray  # (R,) int8: 1 where the true value is above, -1 where it is below, else 0
    notes: list[str]


def unsigned(cell: str) -> tuple[str, int]:
    """Take the sign off a bounded value: the number as text, and 1 where the true value is above it, -1 below, else 0.

    >>> unsigned(">= 3"), unsigned("CCO")
    (('3', 1), ('CCO', 0))
    """
    found = _SIGNED.fullmatch(cell)
    if found is None or not is_number(found[2]):
        return cell, 0
    return found[2].strip(), _SIGNS.get(found[1], 0)


def unsigned_column(cells: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Take the signs off a column (R,): numbers as text, and the relations (R,) int8."""
    pairs = [unsigned(cell) for cell in cells]
    return [text for text, _ in pairs], np.array([relation for _, relation in pairs], np.int8)


def find_relations(columns: Columns, target: str) -> str | None:
    """Name the column of signs, None where no column is called so."""
    plain = {normal(name): name for name in columns if name != target}
    return next((plain[name] for name in RELATIONS if name in plain), None)


def read_bounds(columns: Columns, target: str, relation: str | None) -> Bounded:
    """Read a column of numbers with the signs in its cells and, where those have none, in a column of their own."""
    cells, relations = unsigned_column(columns[target])
    if relation is None:
        return Bounded(cells, relations, [])
    read, turned = read_relations(columns[relation]), is_turned(columns, target)
    notes = []
    if read.any():
        count = int((read != 0).sum())
        are = "is a bound" if count == 1 else "are bounds"
        words = f"{count:,} of {counted(len(read), 'value')} {are}, as {relation!r} says"
        if turned:
            words += f"; {target!r} falls as the measurement rises, so > bounds it from above"
        notes.append(words)
    return Bounded(
        cells, np.where(relations == 0, -read if turned else read, relations).astype(np.int8), notes
    )


def read_relations(cells: Sequence[str]) -> np.ndarray:
    """Return the relations (N,) int8 of a column of signs: -1 below, 1 above; anything else says nothing."""
    return np.array([_SIGNS.get(cell.strip().strip("'\"")[:1], 0) for cell in cells], np.int8)


def is_turned(columns: Columns, target: str) -> bool:
    """Tell whether a target falls as the measurement rises that relations are about: `>` is then an upper bound."""
    raw = next((name for name in columns if normal(name) in _RAW and name != target), None)
    if raw is not None:
        cells = zip(columns[raw], columns[target], strict=True)
        pairs = [(float(one), float(other)) for one, other in cells if is_number(one) and is_number(other)]
        trend = spearman(*np.array(pairs).T) if pairs else float("nan")
        if not np.isnan(trend):
            return trend < 0
    return normal(target) in _TURNED
