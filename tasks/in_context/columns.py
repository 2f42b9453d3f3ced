"""Predictions from a support as columns of a table."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bio_xlstm.tasks.finetune.columns import number
from bio_xlstm.tasks.in_context.answering import Assay
from bio_xlstm.tasks.writers.part import Part

_CLASSES = ("predicted", "probability", "prior", "spread")
_NUMBERS = ("predicted", "lower", "upper", "spread")
_PLACE = ("nearest", "similarity", "in_domain")


def column_names(assay: Assay) -> list[str]:
    """Name the columns in their order."""
    return [*(_NUMBERS if assay.task.numeric else _CLASSES), *_PLACE]


def text_columns(assay: Assay) -> list[str]:
    """Name those that hold text."""
    return ["nearest", "in_domain", *([] if assay.task.numeric else ["predicted"])]


def columns(assay: Assay, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what is said of M rows, laid out under the names of `Said`, as columns (M,) in their order.

    Numbers are NaN, and texts and `in_domain` None, where there is nothing to say.
    """
    return {name: _column(assay, found, name) for name in column_names(assay)}


def write_cells(assay: Assay, part: Part) -> list[list[str]]:
    """Write the cells of every row of a part, in the order of `column_names`; what there is not is empty."""
    if not len(part.rows):
        return []
    written = [[_cell(value) for value in column] for column in columns(assay, part.values).values()]
    return [list(row) for row in zip(*written, strict=True)]


def _column(assay: Assay, found: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return one column."""
    if name == "nearest":
        # what has nothing in common with any example is near none
        places = np.where(found["similarity"] > 0, found["which"], -1).astype(int).tolist()
        return np.array([None if place < 0 else assay.names[place] for place in places], object)
    if name == "in_domain":
        usual = assay.domain.threshold
        inside = [None if np.isnan(one) else bool(one >= usual) for one in found["similarity"]]
        return np.array(inside, object if None in inside else bool)
    if name == "predicted" and not assay.task.numeric:
        classes = assay.task.classes
        return np.array(
            [None if np.isnan(one) else classes[int(one >= 0.5)] for one in found["predicted"]], object
        )
    column: np.ndarray = found["predicted" if name == "probability" else name]
    return column


def _cell(value: Any) -> str:
    """Write one cell."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return number(value)
