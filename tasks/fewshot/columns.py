"""Which columns of a table hold assays, what was measured, and how it is bounded."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bio_xlstm.errors import InputError
from bio_xlstm.records.columns import normal
from bio_xlstm.tasks.assay.columns import choose_target, listed
from bio_xlstm.tasks.evaluate.prediction_columns import column
from bio_xlstm.tasks.fewshot.column_names import ASSAYS, CLASSES, NUMBERS
from bio_xlstm.tasks.fewshot.request import FewshotRequest
from bio_xlstm.tasks.in_context.bounds import find_relations

Columns = Mapping[str, Sequence[str]]


class Chosen(NamedTuple):
    """Name the columns."""

    assay: str
    molecule: str
    target: str
    relation: str | None
    split: str | None
    mark: str | None


def choose(columns: Columns, molecule: str, request: FewshotRequest, source: str) -> Chosen:
    """Find the columns by name where they are not given; InputError where that is not possible."""
    assay = _given(columns, request.assay_column, source) or _first(columns, ASSAYS)
    if assay is None:
        raise InputError(
            f"{source}: no column of assays found; the columns are {listed(columns)}; name it with --assay-column"
        )
    target = _given(columns, request.target, source)
    # preferred to what an assay table is searched for otherwise
    target = target or _first(columns, NUMBERS if request.numeric else CLASSES)
    if target is None:
        rest = {name: cells for name, cells in columns.items() if name != assay}
        target = choose_target(rest, molecule, None, source)
    relation = _given(columns, request.relation_column, source)
    if relation is None and request.numeric:
        relation = find_relations(columns, target)
    split, mark = (_given(columns, name, source) for name in (request.split_column, request.mark_column))
    return Chosen(assay, molecule, target, relation, split, mark)


def _given(columns: Columns, name: str | None, source: str) -> str | None:
    return None if name is None else column(columns, name, source)


def _first(columns: Columns, names: Sequence[str]) -> str | None:
    plain = {normal(name): name for name in columns}
    return next((plain[name] for name in names if name in plain), None)
