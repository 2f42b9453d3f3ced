"""The output of a few-shot evaluation: JSON with everything, CSV with the table, and lines for people."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bio_xlstm.tasks.evaluate.report import table
from bio_xlstm.tasks.fewshot.draws import RULES
from bio_xlstm.tasks.fewshot.measure import CLASSIFICATION, INTERVALS, PROBABILITIES, REGRESSION
from bio_xlstm.tasks.fewshot.methods.choose import METHODS
from bio_xlstm.tasks.fewshot.request import FewshotRequest
from bio_xlstm.tasks.fewshot.summary import FIRST, Part, Row, assay_rows
from bio_xlstm.tasks.fewshot.table import Assays
from bio_xlstm.tasks.provenance import Provenance

KEY = "provenance"


def as_json(
    provenance: Provenance,
    assays: Assays,
    parts: Sequence[Part],
    rows: Sequence[Row],
    groups: Mapping[str, str],
    request: FewshotRequest,
) -> str:
    """Write everything; `seconds` alone differ from run to run."""
    metrics = REGRESSION | INTERVALS if request.numeric else CLASSIFICATION | PROBABILITIES
    content = {
        KEY: json.loads(provenance.to_json()),
        "task": request.task,
        "columns": {name: value for name, value in assays.columns._asdict().items() if value},
        "counts": assays.counts,
        "notes": assays.notes,
        "rule": RULES[request.task],
        "seeds": list(request.draws),
        "assays_measured": {str(size): _measured(parts, size) for size in request.sizes},
        "left_out": _left_out(parts),
        "methods": {name: METHODS[name].words for name in request.chosen},
        "metrics": metrics,
        "seconds": seconds(parts),
        "results": [row._asdict() for row in rows],
        "assays": assay_rows(parts, groups),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """Write one number per row."""
    return table({name: [getattr(row, name) for row in rows] for name in Row._fields})


def seconds(parts: Sequence[Part]) -> dict[str, float]:
    """Return how long every method took on all assays."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part["seconds"])
    return {name: round(value, 2) for name, value in total.items()}


def summary(parts: Sequence[Part], rows: Sequence[Row], request: FewshotRequest) -> list[str]:
    """Write the first metric of all assays as a table for people: methods down, support sizes across."""
    metric = FIRST[request.task]
    found = {
        (row.method, row.support): row
        for row in rows
        if (row.metric, row.group, row.minus) == (metric, "", "")
    }
    sizes = sorted({support for _, support in found})
    width = max(map(len, request.chosen))
    lines = [f"{metric}, mean over assays [95 % interval over assays]", _line("", width, map(str, sizes))]
    for method in request.chosen:
        lines.append(_line(method, width, (_cell(found.get((method, size))) for size in sizes)))
    counts = (f"{_measured(parts, size)} of {len(parts)}" for size in sizes)
    return [*lines, _line("assays", width, counts), f"rule: {RULES[request.task]}"]


def _line(name: str, width: int, cells: Any) -> str:
    return f"{name:<{width}}" + "".join(f"  {cell:>22}" for cell in cells)


def _cell(row: Row | None) -> str:
    if row is None:
        return "not measured"
    ends = "" if row.low is None or row.high is None else f" [{row.low:.3f}, {row.high:.3f}]"
    return f"{row.value:.3f}{ends}"


def _measured(parts: Sequence[Part], size: int) -> int:
    return sum(str(size) in part["sizes"] for part in parts)


def _left_out(parts: Sequence[Part]) -> dict[str, dict[str, str]]:
    """Return, by support size, the assays that do not count, and why."""
    found: dict[str, dict[str, str]] = {}
    for part in parts:
        for size, reason in part["left_out"].items():
            found.setdefault(size, {})[part["assay"]] = reason
    return found
