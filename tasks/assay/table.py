"""The door to an assay: a CSV, TSV or Parquet file becomes sequences and values."""

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.records.formats import KINDS
from bio_xlstm.tasks.assay.assay import Assay, Issue
from bio_xlstm.tasks.assay.audit import audit_assay
from bio_xlstm.tasks.assay.columns import choose_targets
from bio_xlstm.tasks.assay.labels import Labels, blank, read_labels
from bio_xlstm.tasks.assay.reading import Table, read_whole
from bio_xlstm.tasks.assay.sequences import Cleaned, clean_sequences
from bio_xlstm.tokenizers import TOKENIZERS, Tokenizer

FEWEST_ROWS = 10
UNLABELLED = "unlabelled"
# spread of numbers by their size, below which they are as good as equal
ALIKE = 1e-9


def read_assay(
    path: str | os.PathLike[str],
    *,
    sequence_column: str | None = None,
    targets: Sequence[str] | None = None,
    kind: str | None = None,
    task: str | None = None,
    tokenizer: Tokenizer | None = None,
    limit: int | None = None,
) -> Assay:
    """Read an assay; columns, kind and task are found out where they are not given.

    `tokenizer` (default: that of the kind) decides which sequences can be used. Raise InputError or ConfigError, in
    the user's words, where no model can be made of the file: no target found or several that could be meant, nothing
    measured, one value or class alone, fewer than 10 usable rows. Rows that cannot be used become `issues`.

    >>> assay = read_assay("solubility.csv")                    # doctest: +SKIP
    >>> assay.task.name, assay.kind, len(assay)                 # doctest: +SKIP
    ('regression', 'smiles', 1128)
    """
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"unknown kind {kind!r}; known are {', '.join(KINDS)}")
    table = read_whole(os.fspath(path), column=sequence_column, kind=kind, limit=limit)
    chosen = choose_targets(table.columns, table.sequence_column, targets, table.name)
    cleaned = list(clean_sequences(table.records, tokenizer or TOKENIZERS[table.kind]()))
    cells: dict[str, Sequence[str]] = {name: table.columns[name] for name in chosen}
    labels = read_labels(cells, [one.text for one in cleaned], task, table.name)
    return _assemble(table, cleaned, labels, cells)


def _assemble(table: Table, cleaned: list[Cleaned], labels: Labels, cells: dict[str, Sequence[str]]) -> Assay:
    """Keep the rows that have a sequence and a value, and say what is wrong with the others."""
    judged = [judge(row, one, labels) for row, one in enumerate(cleaned)]
    issues = [issue for issue in judged if issue is not None]
    rows = np.array([row for row, issue in enumerate(judged) if issue is None], np.int64)
    _refuse_hopeless(rows, labels, issues, table.name)
    statuses = Counter(
        issue.status if issue else one.status for issue, one in zip(judged, cleaned, strict=True)
    )
    sequences, canonical = ([getattr(cleaned[row], name) for row in rows] for name in ("text", "canonical"))
    values = labels.values[rows]
    tokens = [labels.token_values[row] for row in rows] if labels.token_values else []
    audit = audit_assay(
        labels.task, sequences, canonical, rows, values, tokens, statuses, cells, labels.notes
    )
    return Assay(
        source=table.name,
        sequences=sequences,
        canonical=canonical,
        rows=rows,
        kind=table.kind,
        values=values,
        task=labels.task,
        columns=table.columns,
        sequence_column=table.sequence_column,
        issues=issues,
        audit=audit,
        token_values=tokens,
    )


def judge(row: int, one: Cleaned, labels: Labels) -> Issue | None:
    """Say what is wrong with a row, None where nothing is."""
    if not one.text:
        return Issue(row, one.status, one.detail)
    if row in labels.problems:
        return Issue(row, "error", labels.problems[row])
    if labels.token_values:
        found = bool((labels.token_values[row] >= 0).any())
    else:
        found = not np.isnan(labels.values[row]).all()
    if found:
        return None
    targets = ", ".join(labels.task.targets[:5])
    return Issue(row, UNLABELLED, f"no value in {targets}{blank(labels.blanks.get(row, ''))}")


def _refuse_hopeless(rows: np.ndarray, labels: Labels, issues: list[Issue], source: str) -> None:
    """Raise InputError where nothing can be learned from what is left."""
    total = len(rows) + len(issues)
    if len(rows) < FEWEST_ROWS:
        raise InputError(
            f"{source}: {len(rows)} of {total} rows can be used; at least {FEWEST_ROWS} are needed{_first(issues)}"
        )
    if labels.token_values:
        return
    values = labels.values[rows]
    different = [np.unique(column[~np.isnan(column)]) for column in values.T]
    if any(len(found) > 1 for found in different):
        _refuse_alike(labels, different, source)
        return
    target, found = labels.task.targets[0], different[0]
    if len(different) > 1:
        raise InputError(f"{source}: every target has one value alone: there is nothing to learn")
    what = f"{found[0]:g}" if labels.task.numeric else repr(labels.task.classes[int(found[0])])
    raise InputError(
        f"{source}: column {target!r} is {what} in all {len(rows)} rows: there is nothing to learn"
    )


def _refuse_alike(labels: Labels, different: list[np.ndarray], source: str) -> None:
    """Raise InputError where numbers differ in digits alone that nobody could predict, or write."""
    for target, found in zip(labels.task.targets, different, strict=True) if labels.task.numeric else ():
        if len(found) > 1 and found[-1] - found[0] < ALIKE * max(abs(found[-1]), abs(found[0])):
            raise InputError(
                f"{source}: the values of column {target!r} differ by less than a billionth of their size; subtract "
                "what they have in common"
            )


def _first(issues: list[Issue]) -> str:
    if not issues:
        return ""
    row, status, detail = issues[0]
    return f" (row {row}: {status}. {detail})"
