"""The files of an evaluation: metrics as JSON and CSV, and a row for every generated record."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bio_xlstm.tasks.evaluate.metric import Metric


def as_json(provenance: Mapping[str, Any], metrics: Sequence[Metric]) -> str:
    """Write provenance and metrics; what was not measured is null."""
    content = {**provenance, "metrics": {metric.metric: _record(metric) for metric in metrics}}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(metrics: Sequence[Metric]) -> str:
    """Write one metric per row; what was not measured is an empty cell."""
    return table({name: [getattr(metric, name) for metric in metrics] for name in Metric._fields})


def table(columns: Mapping[str, Sequence[Any]]) -> str:
    """Write columns as CSV; None and what is no number are empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    return text.getvalue()


def summary(metrics: Sequence[Metric]) -> list[str]:
    """Write the metrics for people, one line each."""
    rows = [("", "generated", "reference")]
    rows += [(m.metric, _shown(m.value), _shown(m.reference)) for m in metrics if m.value is not None]
    width = max(len(row[0]) for row in rows)
    return [f"{name:<{width}}  {value:>11}  {real:>11}".rstrip() for name, value, real in rows]


def _record(metric: Metric) -> dict[str, Any]:
    """Keep what says something, the value in any case."""
    found = {"value": metric.value, **metric._asdict()}
    del found["metric"]
    plain = {name: None if _no_number(value) else value for name, value in found.items()}
    return {name: value for name, value in plain.items() if name == "value" or value not in (None, "")}


def _no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _cell(value: Any) -> Any:
    if value is None or _no_number(value):
        return ""
    return str(value).lower() if isinstance(value, bool) else value


def _shown(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
