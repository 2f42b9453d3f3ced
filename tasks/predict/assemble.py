"""Rows and predictions of one unit, put together as a part."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.unit_rows import Laid, compute_unit
from bio_xlstm.tasks.finetune.columns import Numbers
from bio_xlstm.tasks.predict.compute import Predictor, Said
from bio_xlstm.tasks.writers.part import Part

_PER_TARGET = ("low", "high", "uncertainty")


def predict_unit(ready: Sequence[Ready], predictor: Predictor, on_error: str, source: str) -> Part:
    """Predict for the readable rows of a unit and lay all rows out in order; `on_error` as in `compute_unit`."""

    def lay_out(results: Sequence[Said | None]) -> Laid:
        return _laid(results, predictor.tuned.task)

    return compute_unit(ready, predictor, _fault, lay_out, on_error=on_error, source=source)


def numbers_in(part: Part) -> Numbers:
    """Return what a part holds."""
    found = part.values
    return Numbers(
        found["predicted"],
        found["low"],
        found["high"],
        found["uncertainty"],
        found["similarity"],
        part.counts,
    )


def _fault(said: Said) -> str:
    """Say why numbers are no prediction; empty where all is well."""
    if np.isfinite(said.predicted).all():
        return ""
    return "the model computed numbers that are not finite; --dtype fp32 or bf16 may help"


def _laid(results: Sequence[Said | None], task: Task) -> Laid:
    """Return one array per kind of number; NaN where a row has no prediction."""
    count, letters = len(results), task.name == "per_token"
    found = [one for one in results if one is not None]
    counts = np.zeros(count, np.int64)
    if letters:
        counts = np.array([0 if one is None else len(one.predicted) for one in results], np.int64)
        predicted = np.concatenate([*(one.predicted for one in found), np.zeros(0, np.int64)])
    else:
        predicted = _stacked([None if one is None else one.predicted for one in results], task.outputs)
    values = {"predicted": predicted}
    for name in _PER_TARGET:
        # an empty unit, or one of bad rows, has the columns of any other: they follow when parts are written
        width = max((len(getattr(one, name)) for one in found), default=0)
        values[name] = _stacked([None if one is None else getattr(one, name) for one in results], width)
    values["similarity"] = np.array([np.nan if one is None else one.similarity for one in results], float)
    return Laid(counts, values)


def _stacked(rows: Sequence[np.ndarray | None], width: int) -> np.ndarray:
    """Stack rows (N, width), NaN for those that are missing."""
    found = np.full((len(rows), width), np.nan)
    for place, row in enumerate(rows):
        if row is not None:
            found[place] = row
    return found
