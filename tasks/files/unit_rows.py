"""The rows of one unit: what happened to each while it was computed, laid out in order as a part."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from bio_xlstm.errors import SequenceError
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.worker import Computed, Worker
from bio_xlstm.tasks.writers.part import Part, Row

Result = TypeVar("Result")


class Laid(NamedTuple):
    """Hold the numbers of N rows as a part has them."""

    counts: np.ndarray  # (N,) int64
    values: dict[str, np.ndarray]


def compute_unit(
    ready: Sequence[Ready],
    worker: Worker[Result],
    fault: Callable[[Result], str],
    lay_out: Callable[[Sequence[Result | None]], Laid],
    *,
    on_error: str,
    source: str,
) -> Part:
    """Compute the readable rows of a unit and lay all rows out in order.

    `fault` says why a result is none, "" where it is one; `lay_out` gets None for every row without a result. With
    on_error="fail" the first such row raises SequenceError; with "skip" such rows are set aside.
    """
    if on_error == "fail":
        _refuse_bad([one.row for one in ready], source)
    found = iter(worker([one.ids for one in ready if len(one.ids)]))
    results = [next(found) if len(one.ids) else None for one in ready]
    rows = [_row(one.row, result, worker, fault) for one, result in zip(ready, results, strict=True)]
    if on_error == "fail":
        _refuse_bad(rows, source)
    kept = [i for i, row in enumerate(rows) if row.good or on_error != "skip"]
    laid = lay_out([_result(results[i]) if rows[i].good else None for i in kept])
    skipped = [row for row in rows if not row.good] if on_error == "skip" else []
    return Part([rows[i] for i in kept], laid.counts, laid.values, skipped)


def _result(computed: Computed[Result] | None) -> Result | None:
    return None if computed is None else computed.result


def _row(
    row: Row, computed: Computed[Result] | None, worker: Worker[Result], fault: Callable[[Result], str]
) -> Row:
    """Note on a row what happened while it was computed."""
    if computed is None:
        return row
    if computed.result is None:
        return row._replace(
            status="oom", detail=f"{row.length} tokens do not fit into memory, one at a time on the CPU"
        )
    if problem := fault(computed.result):
        return row._replace(status="error", detail=problem)
    if worker.in_windows and row.length > computed.budget:
        also = f"; {row.detail}" if row.detail else ""
        return row._replace(status="windowed", detail=f"read in windows of {computed.budget} tokens{also}")
    return row


def _refuse_bad(rows: Sequence[Row], source: str) -> None:
    for row in rows:
        if not row.good:
            raise SequenceError(f"{source} row {row.row} {row.id!r}: {row.status}: {row.detail}")
