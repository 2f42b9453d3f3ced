"""A split that a column of the table says: the parts themselves, or what must stay together."""

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.records.columns import normal
from bio_xlstm.tasks.assay.assay import Assay
from bio_xlstm.tasks.assay.columns import listed
from bio_xlstm.tasks.assay.splits.groups import numbered
from bio_xlstm.tasks.assay.splits.split import PARTS

NAMES = {
    **dict.fromkeys(("train", "training", "fit"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "holdout", "hold_out"), "test"),
}
# a second column that some benchmarks (FLIP) mark the validation part with
MARK, TRUE = "validation", frozenset(("true", "1", "yes"))


def find_column(assay: Assay, column: str | None) -> str:
    """Return the column as the table writes it."""
    if column is None:
        raise ConfigError("--split column needs the name of a column")
    matches = [name for name in assay.columns if name == column]
    matches = matches or [name for name in assay.columns if normal(name) == normal(column)]
    if not matches:
        raise ConfigError(
            f"{assay.source}: there is no column {column!r}; the columns are {listed(assay.columns)}"
        )
    if matches[0] == assay.sequence_column or matches[0] in assay.task.targets:
        what = "the sequences" if matches[0] == assay.sequence_column else "what is to be predicted"
        raise ConfigError(f"{assay.source}: column {matches[0]!r} holds {what}; it cannot divide them")
    return matches[0]


def named_parts(assay: Assay, column: str) -> list[np.ndarray] | None:
    """Return the parts train, validation and test that a column names; None where it names something else.

    Rows with an empty cell are in no part.
    """
    cells = [normal(cell) for cell in assay.cells(column)]
    if not {cell for cell in cells if cell} <= set(NAMES):
        return None
    parts = np.array([NAMES.get(cell, "") for cell in cells])
    mark = next((name for name in assay.columns if normal(name) == MARK and name != column), None)
    if mark is not None and "validation" not in parts:
        marked = np.array([cell.strip().lower() in TRUE for cell in assay.cells(mark)])
        parts = np.where(marked & (parts == "train"), "validation", parts)
    found = [np.flatnonzero(parts == name) for name in PARTS]
    for name, part in zip(PARTS, found, strict=True):
        if name != "validation" and not len(part):
            raise ConfigError(f"{assay.source}: no usable row has {name!r} in column {column!r}")
    return found


def column_groups(assay: Assay, column: str) -> np.ndarray:
    """Number (N,) sequences by the cell of a column; equal sequences stay together with the first of them."""
    groups = numbered([cell.strip() for cell in assay.cells(column)])
    if int(groups.max()) == 0:
        raise ConfigError(f"{assay.source}: column {column!r} has one value alone; it divides nothing")
    return groups
