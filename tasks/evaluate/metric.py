"""One number of an evaluation, with its definition and what real sequences reach."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from bio_xlstm.tasks.evaluate.distances import share_interval

NO_REFERENCE = "no reference was given (--reference)"


class Metric(NamedTuple):
    """Hold one row of the table; what could not be measured is None, and the note says why."""

    metric: str
    value: float | int | None
    definition: str
    reference: float | int | None = None
    """the same of the reference; of a distance to it: that between two random halves of it"""
    low: float | None = None
    """of the 95 % interval of a share"""
    high: float | None = None
    note: str = ""


def measured(name: str, value: float | int, definition: str, note: str = "") -> Metric:
    """Hold a number; what is no number counts as not measured."""
    return Metric(name, value if math.isfinite(value) else None, definition, note=note)


def share(name: str, hits: int, total: int, definition: str) -> Metric:
    """Hold a share with its 95 % interval."""
    if not total:
        return missing(name, definition, "there is nothing to take a share of")
    low, high = share_interval(hits, total)
    return Metric(name, hits / total, definition, low=low, high=high)


def missing(name: str, definition: str, why: str) -> Metric:
    """Hold the place of a number that could not be measured."""
    return Metric(name, None, definition, note=why)


def beside(found: Iterable[Metric], real: Iterable[Metric]) -> list[Metric]:
    """Put what real sequences reach beside numbers of the same name."""
    reached = {metric.metric: metric.value for metric in real}
    return [metric._replace(reference=reached.get(metric.metric, metric.reference)) for metric in found]


def explained(found: Iterable[Metric], why: str) -> list[Metric]:
    """Say why numbers are missing where nothing else does."""
    return [
        metric._replace(note=why) if metric.value is None and not metric.note else metric for metric in found
    ]
