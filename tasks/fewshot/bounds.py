"""Values that are only bounded, where a column of its own says so."""

from collections.abc import Mapping, Sequence

import numpy as np

from bio_xlstm.records.columns import normal
from bio_xlstm.tasks.assay.cells import is_number
from bio_xlstm.tasks.assay.metrics.regression import spearman

SIGNS = {"<": -1, "≤": -1, ">": 1, "≥": 1}
# the measurement as it was written down; a relation is its, not that of its logarithm
RAW = ("regression_property", "standard_value", "raw_value")
# negative logarithms of concentrations
TURNED = ("pchembl_value", "pic50", "pki", "pkd", "pec50", "log_regression_property")


def read_relations(cells: Sequence[str]) -> np.ndarray:
    """Return the relations (N,) int8 of a column of signs: -1 below, 1 above; anything else says nothing."""
    return np.array([SIGNS.get(cell.strip()[:1], 0) for cell in cells], np.int8)


def is_turned(columns: Mapping[str, Sequence[str]], target: str) -> bool:
    """Tell whether a target falls as the measurement rises that relations are about: `>` is then an upper bound."""
    raw = next((name for name in columns if normal(name) in RAW and name != target), None)
    if raw is not None:
        cells = zip(columns[raw], columns[target], strict=True)
        pairs = [(float(one), float(other)) for one, other in cells if is_number(one) and is_number(other)]
        trend = spearman(*np.array(pairs).T) if pairs else float("nan")
        if not np.isnan(trend):
            return trend < 0
    return normal(target) in TURNED
