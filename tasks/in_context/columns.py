"""Predictions from a support as columns of a table."""

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


def write_cells(assay: Assay, part: Part) -> list[list[str]]:
    """Write the cells of every row of a part, in the order of `column_names`; what there is not is empty."""
    names = column_names(assay)
    columns = {name: _cells(assay, part, name) for name in names}
    return [list(row) for row in zip(*columns.values(), strict=True)] if len(part.rows) else []


def _cells(assay: Assay, part: Part, name: str) -> list[str]:
    """Write one column."""
    found = part.values
    if name == "nearest":
        return ["" if place < 0 else assay.names[place] for place in found["which"].astype(int).tolist()]
    if name == "in_domain":
        usual = assay.domain.threshold
        return ["" if np.isnan(one) else "yes" if one >= usual else "no" for one in found["similarity"]]
    if name == "probability":
        return [number(one) for one in found["predicted"]]
    if name == "predicted" and not assay.task.numeric:
        return ["" if np.isnan(one) else assay.task.classes[int(one >= 0.5)] for one in found["predicted"]]
    return [number(one) for one in found[name]]
