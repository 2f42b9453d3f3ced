"""Every molecule of an assay once: several rows of one are put together as `predict --support` does it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.fewshot.assay import Assay
from bio_xlstm.tasks.in_context.repeats import Example, one_of

CONTRADICTORY = {False: "molecules with contradictory classes", True: "molecules with contradictory bounds"}
SEVERAL = "molecules with several values"
REPEATED = "repeated within their assay"
KNOWN = "queries whose molecule is in the training part too"


class Rows(NamedTuple):
    """Hold the usable rows of a table, R of them, column by column."""

    assays: list[str]
    texts: list[str]
    flat: list[str]
    """the molecules without stereo marks"""
    values: np.ndarray
    relations: np.ndarray
    pool: np.ndarray
    asked: np.ndarray
    marked: np.ndarray


def assay_of(
    name: str,
    members: Sequence[int],
    rows: Rows,
    library: np.ndarray,
    counts: Counter[str],
    *,
    numeric: bool,
) -> Assay:
    """Put the rows `members` of an assay together by molecule, and count what is left out on the way.

    Rows of the training part and rows to ask about do not mix. Whose molecule may be an example alone is no query.
    """
    found: list[Example] = []
    marked = []
    for several in _groups(members, rows, counts):
        together = _together(several, rows, counts, numeric=numeric)
        if together is not None:
            found.append(together)
            marked.append(bool(rows.marked[several].any()))
    places = np.array([one.row for one in found], np.int64)
    return Assay(
        name,
        library[places],
        np.array([one.value for one in found], float),
        np.array([one.relation for one in found], np.int8),
        rows.pool[places],
        rows.asked[places],
        np.array(marked, bool),
    )


def _groups(members: Sequence[int], rows: Rows, counts: Counter[str]) -> Iterator[list[int]]:
    """Yield the rows of every molecule, those of either part alone, in the order of the table."""
    same: dict[tuple[str, bool, bool], list[int]] = {}
    for row in members:
        same.setdefault((rows.flat[row], bool(rows.pool[row]), bool(rows.asked[row])), []).append(row)
    known = {flat for flat, pool, asked in same if pool and not asked}
    for (flat, pool, _), several in same.items():
        counts[REPEATED] += len(several) - 1
        if flat in known and not pool:
            counts[KNOWN] += 1
        else:
            yield several


def _together(several: Sequence[int], rows: Rows, counts: Counter[str], *, numeric: bool) -> Example | None:
    """Return what several rows of one molecule say together, None where that is a contradiction."""
    examples = [
        Example(rows.flat[row], rows.texts[row], "", row, float(rows.values[row]), int(rows.relations[row]))
        for row in several
    ]
    together = one_of(examples, numeric=numeric)
    if together is None:
        counts[CONTRADICTORY[numeric]] += 1
    elif len({(one.value, one.relation) for one in examples}) > 1:
        counts[SEVERAL] += 1
    return together
