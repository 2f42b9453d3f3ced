"""What was reached on all assays: means over draws, then over assays, with intervals over assays."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.tasks.assay.metrics.bootstrap import intervals
from bio_xlstm.tasks.fewshot.request import FewshotRequest

# the method that others are compared with, assay by assay
OURS = "in-context"
FIRST = {"classification": "delta_auprc", "regression": "r2"}
Part = Mapping[str, Any]
"""what `measure_assay` returned"""


class Row(NamedTuple):
    """Hold one number of the table."""

    support: int
    method: str
    metric: str
    group: str
    """"" for all assays"""
    value: float
    low: float | None
    high: float | None
    assays: int
    minus: str = ""
    """the value is the mean difference to this method, assay by assay"""


def summarise(parts: Sequence[Part], groups: Mapping[str, str], request: FewshotRequest) -> list[Row]:
    """Average over all assays, and over those of every group."""
    rows = []
    names = sorted({groups[part["assay"]] for part in parts if part["assay"] in groups})
    for size in request.sizes:
        some = [part for part in parts if str(size) in part["sizes"]]
        for group in ("", *names):
            mine = [part for part in some if not group or groups.get(part["assay"]) == group]
            rows += _averaged(mine, size, group, request) if mine else []
    return rows


def assay_rows(parts: Sequence[Part], groups: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a record for every assay, support size and method: means over draws, and their deviation."""
    found = []
    for part in parts:
        about = {"assay": part["assay"], "molecules": part["molecules"], "mean": part["mean"]}
        about |= {"group": groups[part["assay"]]} if part["assay"] in groups else {}
        for size, methods in part["sizes"].items():
            for method, scores in methods.items():
                means = {name: float(np.mean(values)) for name, values in scores.items()}
                spread = {f"{name}_std": float(np.std(values)) for name, values in scores.items()}
                found.append({**about, "support": int(size), "method": method, **means, **spread})
    return found


def _averaged(parts: Sequence[Part], size: int, group: str, request: FewshotRequest) -> list[Row]:
    """Average every method and metric; of the first metric also how far ours is ahead."""
    means: dict[tuple[str, str, str], list[float]] = {}
    for part in parts:
        for method, scores in part["sizes"][str(size)].items():
            for metric, values in scores.items():
                means.setdefault((method, metric, ""), []).append(float(np.mean(values)))
    first = FIRST[request.task]
    if not group:
        ours = means.get((OURS, first, ""), [])
        for method in request.chosen if ours else ():
            if method != OURS:
                pairs = zip(ours, means[method, first, ""], strict=True)
                means[OURS, first, method] = [one - other for one, other in pairs]
    return [
        Row(size, method, metric, group, float(np.mean(values)), *_ends(values, request), len(values), minus)
        for (method, metric, minus), values in means.items()
    ]


def _ends(values: Sequence[float], request: FewshotRequest) -> tuple[float | None, float | None]:
    """Return the ends of the 95 % interval of the mean over assays, which are drawn anew."""
    each = np.asarray(values)
    found = intervals(
        lambda rows: {"mean": float(each[rows].mean())}, len(each), draws=request.bootstrap, seed=request.seed
    )
    return found.get("mean", (None, None))
