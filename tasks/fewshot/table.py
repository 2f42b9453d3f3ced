"""A table of assays: every molecule once per assay, and what could not be used."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bio_xlstm.errors import InputError
from bio_xlstm.tasks.assay.assay import Issue
from bio_xlstm.tasks.assay.labels import Labels, read_labels
from bio_xlstm.tasks.assay.reading import Table, read_whole
from bio_xlstm.tasks.assay.sequences import clean_sequences
from bio_xlstm.tasks.assay.table import UNLABELLED, judge
from bio_xlstm.tasks.evaluate.facts import read_flat
from bio_xlstm.tasks.fewshot.assay import Assay
from bio_xlstm.tasks.fewshot.columns import Chosen, choose
from bio_xlstm.tasks.fewshot.molecules import Rows, assay_of
from bio_xlstm.tasks.fewshot.request import FewshotRequest
from bio_xlstm.tasks.in_context.bounds import read_bounds
from bio_xlstm.tasks.in_context.spelling import spelled
from bio_xlstm.tokenizers import TOKENIZERS

TRAIN, TEST = frozenset(("train", "training")), frozenset(("test", "testing"))
YES = frozenset(("1", "1.0", "true", "yes"))
# rows that notes name one by one
_SHOWN = 5
_REASONS = {UNLABELLED: "without a value", "error": "values that cannot be read"}


class Assays(NamedTuple):
    """Hold all assays of a table, in the order of their names, and the molecules that they share."""

    source: str
    columns: Chosen
    assays: list[Assay]
    smiles: list[str]
    counts: dict[str, int]
    """rows of the file, and of them those that do not count, by reason"""
    notes: list[str]


def read_assays(request: FewshotRequest) -> Assays:
    """Read the table; InputError, in the user's words, where no assay can be made of it."""
    table = read_whole(request.input, column=request.column, kind="smiles", limit=None)
    chosen = choose(table.columns, table.sequence_column, request, table.name)
    counts = Counter(rows=len(table.records))
    notes: list[str] = []
    rows = _usable(table, chosen, request, counts, notes)
    smiles, library = _library(rows.texts)
    members: dict[str, list[int]] = {}
    for row, name in enumerate(rows.assays):
        members.setdefault(name, []).append(row)
    # an assay in which everything is contradictory holds no molecule
    assays = [
        assay_of(name, members[name], rows, library, counts, numeric=request.numeric)
        for name in sorted(members)
    ]
    return Assays(table.name, chosen, assays, smiles, dict(counts), notes)


def _library(texts: list[str]) -> tuple[list[str], np.ndarray]:
    """Return the different molecules, spelled as `predict --support` spells them, and which of them rows (R,) hold."""
    different = list(dict.fromkeys(texts))
    written = dict(zip(different, spelled(different, TOKENIZERS["smiles"]()), strict=True))
    smiles = list(dict.fromkeys(written.values()))
    numbers = {text: number for number, text in enumerate(smiles)}
    return smiles, np.array([numbers[written[text]] for text in texts], np.int64)


def _usable(
    table: Table, chosen: Chosen, request: FewshotRequest, counts: Counter[str], notes: list[str]
) -> Rows:
    """Leave out rows without an assay, a molecule, a value or a part, and count them."""
    cells = [cell.strip() for cell in table.columns[chosen.assay]]
    cleaned = list(clean_sequences(table.records, TOKENIZERS["smiles"]()))
    labels, relations = _values(table, chosen, request, [one.text for one in cleaned], notes)
    pool, asked = _parts(table, chosen)
    kept, issues = [], []
    for row, (cell, one) in enumerate(zip(cells, cleaned, strict=True)):
        issue = judge(row, one, labels)
        if issue is not None:
            issues.append(issue)
            counts[_REASONS[issue.status] if one.text else "molecules that cannot be read"] += 1
        elif not cell:
            counts["without an assay"] += 1
        elif not (pool[row] or asked[row]):
            counts["neither train nor test"] += 1
        else:
            kept.append(row)
    named = _named(issues)
    notes += named
    if not kept:
        first = f" ({named[0]})" if named else ""
        raise InputError(
            f"{table.name}: no row has an assay, a molecule and a value in {chosen.target!r}{first}"
        )
    marked = np.array([cell.strip().lower() in YES for cell in _cells(table, chosen.mark)])
    return Rows(
        [cells[row] for row in kept],
        [cleaned[row].text for row in kept],
        [read_flat(cleaned[row].canonical) or cleaned[row].canonical for row in kept],
        *(column[kept] for column in (labels.values[:, 0], relations, pool, asked, marked)),
    )


def _named(issues: Sequence[Issue]) -> list[str]:
    """Name the first rows with a molecule, or a value, that cannot be read; those without any are counted alone."""
    told = [issue for issue in issues if issue.status != UNLABELLED][:_SHOWN]
    return [f"row {row} is left out, {status}: {detail}" for row, status, detail in told]


def _values(
    table: Table, chosen: Chosen, request: FewshotRequest, texts: list[str], notes: list[str]
) -> tuple[Labels, np.ndarray]:
    """Read what was measured (R,), and how the true values stand to it (R,)."""
    cells: Sequence[str] = table.columns[chosen.target]
    relations = np.zeros(len(cells), np.int8)
    if request.numeric:
        cells, relations, said = read_bounds(table.columns, chosen.target, chosen.relation)
        notes += said
    kind = "regression" if request.numeric else "binary"
    labels = read_labels({chosen.target: cells}, texts, kind, table.name)
    notes += labels.notes
    return labels, relations


def _parts(table: Table, chosen: Chosen) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows (R,) may be examples and which queries: all both, where no column divides them."""
    cells = [cell.strip().lower() for cell in _cells(table, chosen.split)]
    if chosen.split is None:
        return np.ones(len(cells), bool), np.ones(len(cells), bool)
    pool, asked = (np.array([cell in names for cell in cells]) for names in (TRAIN, TEST))
    for found, word in ((pool, "train"), (asked, "test")):
        if not found.any():
            raise InputError(f"{table.name}: column {chosen.split!r} marks no row as {word}")
    return pool, asked


def _cells(table: Table, name: str | None) -> Sequence[str]:
    return [""] * len(table.records) if name is None else table.columns[name]
