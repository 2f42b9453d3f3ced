"""Token ids to predictions from a support, and the rows of one unit put together as a part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.unit_rows import Laid, compute_unit
from bio_xlstm.tasks.files.worker import Worker
from bio_xlstm.tasks.in_context.answering import Assay
from bio_xlstm.tasks.in_context.point_file import PointFile
from bio_xlstm.tasks.in_context.spelling import encode
from bio_xlstm.tasks.in_context.trust import Intervals
from bio_xlstm.tasks.writers.part import Part


class Said(NamedTuple):
    """Hold what is said of one sequence."""

    predicted: float  # probability of the positive class, or number
    prior: float
    lower: float
    upper: float
    spread: float
    similarity: float
    which: float  # number of the nearest example, -1 for none


@dataclass(frozen=True, kw_only=True)
class Answerer(Worker[Said]):
    """Predict from an assay state; `model` is the language model of the learner."""

    assay: Assay
    intervals: Intervals
    points: PointFile | None = None

    def run(self, sequences: Sequence[np.ndarray], budget: int) -> list[Said]:
        """Predict for sequences with at most `budget` tokens at once."""
        texts = [self.model.tokenizer.decode(ids) for ids in sequences]
        points = encode(self.assay.learner, texts, batch_tokens=budget, points=self.points)
        return say_of(self.assay, self.intervals, points, texts)


def say_of(assay: Assay, intervals: Intervals, points: Tensor, sequences: Sequence[str]) -> list[Said]:
    """Say all that there is to say of sequences (M), which `points` (M, W) encode."""
    answers = assay.answer(points)
    near = assay.nearest(sequences)
    ends = intervals(answers.predicted, answers.leverage)
    columns = (answers.predicted, answers.prior, *ends, answers.spread, near.similarity, near.which)
    return [Said(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def answer_unit(ready: Sequence[Ready], worker: Answerer, on_error: str, source: str) -> Part:
    """Predict for the readable rows of a unit and lay all rows out in order; `on_error` as in `compute_unit`."""
    return compute_unit(ready, worker, _fault, lay_out, on_error=on_error, source=source)


def _fault(said: Said) -> str:
    """Say why numbers are no prediction; empty where all is well."""
    if np.isfinite(said.predicted):
        return ""
    return "the model computed numbers that are not finite; --dtype fp32 or bf16 may help"


def lay_out(results: Sequence[Said | None]) -> Laid:
    """Return one array per kind of number; NaN, or no example, where a row has no prediction."""
    none = [*[float("nan")] * (len(Said._fields) - 1), -1.0]
    rows = np.array([none if one is None else one for one in results], float).reshape(-1, len(Said._fields))
    values = {name: rows[:, place].copy() for place, name in enumerate(Said._fields)}
    return Laid(np.zeros(len(results), np.int64), values)
