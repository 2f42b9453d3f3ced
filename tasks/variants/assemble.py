"""Rows and ratios of one unit, put together as a part: numbers by name."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.scoring import Score
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.unit_rows import Laid, compute_unit
from bio_xlstm.tasks.variants.compute import Result, VariantWorker
from bio_xlstm.tasks.writers.part import Part

RATIO = "log_likelihood_ratio"
# without a wild type there is no ratio
ALONE = ("logprob_sum", "logprob_mean")


def number_names(*, compared: bool, strands: Sequence[str]) -> tuple[str, ...]:
    """Name the numbers of a row, in the order of the table; the first one ranks the variants."""
    names = (RATIO,) if compared else ALONE
    return names + (tuple(f"{names[0]}_{strand}" for strand in strands) if len(strands) > 1 else ())


def compare_unit(
    ready: Sequence[Ready], worker: VariantWorker, names: Sequence[str], on_error: str, source: str
) -> Part:
    """Compare the readable rows of a unit and lay all rows out in order; `on_error` as in `compute_unit`."""

    def lay_out(results: Sequence[Result | None]) -> Laid:
        rows = [[np.nan] * len(names) if one is None else _numbers(one) for one in results]
        columns = np.array(rows, np.float64).reshape(-1, len(names)).T
        return Laid(np.zeros(len(results), np.int64), dict(zip(names, columns, strict=True)))

    return compute_unit(ready, worker, _fault, lay_out, on_error=on_error, source=source)


def _numbers(result: Result) -> list[float]:
    """Return the numbers of a row."""
    strands = list(result.strands) if len(result.strands) > 1 else []
    first = [result.total, result.mean] if isinstance(result, Score) else [result.total]
    return [*first, *strands]


def _fault(result: Result) -> str:
    """Say why numbers are no result; empty where all is well."""
    if isinstance(result, Score) and not result.n_tokens:
        return "none of its letters can be scored"
    if not np.isfinite(result.strands).all():
        return "the model computed numbers that are not finite; --dtype fp32 or bf16 may help"
    return ""
