"""Sequences that a support names several times: one example each, or none where their labels contradict each other."""

import hashlib
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from bio_xlstm.tasks.assay.assay import Issue

_WORDS = {"smiles": "molecule", "protein": "protein", "dna": "sequence"}
# letters of a sequence that messages show
_LONG = 100


class Example(NamedTuple):
    """Hold one labelled row."""

    canonical: str
    sequence: str
    name: str
    row: int
    value: float
    relation: int  # 1 where the true value is above, -1 where it is below


class Merged(NamedTuple):
    """Hold one example per sequence, and what was done.

    Their order does not depend on that of the rows, and is as good as random: any first so many are a fair choice.
    """

    examples: list[Example]
    issues: list[Issue]
    notes: list[str]


def merge_repeats(examples: Sequence[Example], *, numeric: bool, kind: str = "smiles") -> Merged:
    """Make one example of every sequence.

    Equal labels are one. Different classes are both left out, different numbers averaged; of a number and bounds, the
    number counts, of bounds to one side the tightest, and bounds to both sides are left out.
    """
    kept: list[Example] = []
    issues: list[Issue] = []
    repeated = averaged = contradictory = 0
    for canonical, group in groupby(sorted(examples), lambda one: one.canonical):
        several = list(group)
        found = one_of(several, numeric=numeric)
        if found is None:
            contradictory += 1
            rows = sorted(one.row for one in several)
            detail = f"rows {', '.join(map(str, rows))} contradict each other about {shortened(canonical)}"
            issues += [Issue(row, "error", detail) for row in rows]
            continue
        kept.append(found)
        if len(several) > 1:
            different = len({(one.value, one.relation) for one in several}) > 1
            averaged += different
            repeated += not different
    notes = [
        (repeated, "stands there several times with one label, which counts once"),
        (averaged, "stands there several times with different values, of which the mean (or the bound) is taken"),
        (contradictory, "stands there with labels that contradict each other, and is left out"),
    ]  # fmt: skip
    kept.sort(key=lambda one: hashlib.sha256(one.canonical.encode()).digest())
    return Merged(kept, issues, [_said(count, _WORDS[kind], what) for count, what in notes if count])


def one_of(several: Sequence[Example], *, numeric: bool) -> Example | None:
    """Return what several rows of one sequence say together, None where that is a contradiction."""
    first = several[0]
    if len({(one.value, one.relation) for one in several}) == 1:
        return first
    if not numeric:
        return None
    exact = [one.value for one in several if one.relation == 0]
    if exact:
        return first._replace(value=float(np.mean(sorted(exact))), relation=0)
    relations = {one.relation for one in several}
    if len(relations) > 1:
        return None
    relation = relations.pop()
    values = [one.value for one in several]
    return first._replace(value=max(values) if relation > 0 else min(values), relation=relation)


def called(row: int, text: str, kind: str) -> str:
    """Name a labelled row that has no id: as it is written, or, where that is long, by its number."""
    return text if kind == "smiles" or shortened(text) == text else f"row {row}"


def shortened(text: str) -> str:
    """Return a sequence for a message: of a long one the beginning."""
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def _said(count: int, word: str, what: str) -> str:
    if count == 1:
        return f"1 {word} {what}"
    plural = what.replace("stands", "stand", 1).replace("and is left", "and are left")
    return f"{count:,} {word}s {plural}"
