"""The support of a table: columns and task found out, cells read, rows that cannot be used named."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.errors import InputError
from bio_xlstm.tasks.assay.assay import Issue
from bio_xlstm.tasks.assay.cells import is_missing, is_number
from bio_xlstm.tasks.assay.columns import FEW, choose_target, is_yes_or_no
from bio_xlstm.tasks.assay.labels import POSITIVE, Labels, read_labels
from bio_xlstm.tasks.assay.letter_labels import shows_letters
from bio_xlstm.tasks.assay.reading import Table, read_whole
from bio_xlstm.tasks.assay.sequences import Cleaned, clean_sequences
from bio_xlstm.tasks.assay.table import judge
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.choices import KIND_WORDS, check_choice
from bio_xlstm.tasks.evaluate.prediction_columns import column as column_of
from bio_xlstm.tasks.in_context.bounds import find_relations, read_bounds, unsigned_column
from bio_xlstm.tasks.in_context.repeats import Example, called, shortened
from bio_xlstm.tasks.in_context.support import Support, make_support
from bio_xlstm.tokenizers import Tokenizer

TASKS = ("binary", "regression")
# the option that takes the column of the sequences
SUPPORT_COLUMN = "--support-column"
# the option that takes the column of signs
RELATION_COLUMN = "--relation-column"


def read_support(
    path: str,
    tokenizer: Tokenizer,
    *,
    column: str | None = None,
    target: str | None = None,
    relation: str | None = None,
    task: str | None = None,
    chooser: str = "-m",
) -> Support:
    """Read labelled molecules, proteins or DNA; columns and task are found out where they are not given.

    `chooser` is the option that names another learner.

    InputError or ConfigError say, in the user's words, why a table is no support: no column of labels or several that
    could be meant, more than two classes, nothing that can be used. Rows that cannot be used become `issues`.
    """
    if task is not None:
        check_choice("--task", task, TASKS)
    table = _sequences(path, column, tokenizer.kind, chooser)
    signs = {name: unsigned_column(cells) for name, cells in table.columns.items()}
    plain = {name: cells for name, (cells, _) in signs.items()}
    chosen = choose_target(plain, table.sequence_column, target, table.name)
    cleaned = list(clean_sequences(table.records, tokenizer))
    labels = _read_labels(plain[chosen], chosen, cleaned, task, table.name)
    if labels.task.numeric:
        bounds = read_bounds(table.columns, chosen, _relation(table, chosen, relation))
        labels.notes += bounds.notes
        return _assemble(table, cleaned, labels, bounds.relations)
    relations = signs[chosen][1]
    if relations.any():
        raise InputError(
            f"{table.name}: column {chosen!r} holds bounds such as {_first_bound(table, chosen)}, "
            "which classes cannot be; --task regression reads numbers"
        )
    if relation is not None:
        raise InputError(
            f"{table.name}: {RELATION_COLUMN} says how numbers are bounded; {chosen!r} holds classes"
        )
    return _assemble(table, cleaned, labels, relations)


def _relation(table: Table, target: str, given: str | None) -> str | None:
    """Find the column of signs by its name, where it is not given; InputError where it is, and is not there."""
    if given is None:
        return find_relations(table.columns, target)
    return column_of(table.columns, given, table.name)


def _sequences(path: str, column: str | None, kind: str, chooser: str) -> Table:
    """Read a table whole; a column that is named holds the kind asked for, and so does one that leaves it open."""
    try:
        known = None if column is None else kind
        table = read_whole(path, column=column, kind=known, limit=None, option=SUPPORT_COLUMN)
    except InputError:
        table = read_whole(path, column=column, kind=kind, limit=None, option=SUPPORT_COLUMN)
    if table.kind != kind:
        raise InputError(
            f"{table.name} holds {KIND_WORDS[table.kind]}, but the learner reads {KIND_WORDS[kind]} "
            f"({SUPPORT_COLUMN} names their column, {chooser} another learner)"
        )
    return table


def _read_labels(
    cells: Sequence[str], name: str, cleaned: Sequence[Cleaned], task: str | None, source: str
) -> Labels:
    """Read the cells of the label column as two classes or numbers."""
    if task is None and is_yes_or_no(cells):
        task = "binary"
    different = sorted({cell.strip() for cell in cells if not is_missing(cell)})
    texts = [one.text for one in cleaned]
    named = task is None and not any(map(is_number, different)) and not shows_letters(cells, texts)
    if named and 2 < len(different) <= FEW:
        raise _more_classes(different, name, source)
    found = read_labels({name: cells}, texts, task, source)
    classes = found.task.classes
    if found.task.name == "multiclass" and len(classes) == 2:
        found = read_labels({name: cells}, texts, "binary", source)
    elif found.task.name == "multiclass":
        raise _more_classes(classes, name, source)
    if found.task.name not in TASKS:
        raise InputError(f"{source}: column {name!r} holds one label per letter, not one per sequence")
    # a choice that is not offered here
    found.notes = [note for note in found.notes if "multiclass" not in note]
    return _with_two_classes(found) if found.task.name == "binary" else found


def _more_classes(classes: Sequence[str], name: str, source: str) -> InputError:
    more = ", ..." if len(classes) > 5 else ""
    hint = " (--task regression)" if all(map(is_number, classes)) else ""
    return InputError(
        f"{source}: column {name!r} has {len(classes)} classes ({', '.join(classes[:5])}{more}); prediction "
        f"from a support takes two, or numbers{hint}"
    )


def _with_two_classes(labels: Labels) -> Labels:
    """Name the class that no row has, where there is one class alone."""
    if len(labels.task.classes) == 2:
        return labels
    (only,) = labels.task.classes
    pairs = {"1": ("0", "1"), "0": ("0", "1"), "-1": ("-1", "1")}
    positive = only.lower() in POSITIVE or only.endswith("+")
    other = f"not {only}"
    classes = pairs.get(only) or ((other, only) if positive else (only, other))
    known = ~np.isnan(labels.values)
    labels.values[known] = classes.index(only)
    labels.task = Task("binary", labels.task.targets, classes)
    labels.notes.append(f"{only!r} is the only class; it counts as {_SIDES[classes.index(only)]}")
    return labels


_SIDES = ("negative", "positive")


def _first_bound(table: Table, name: str) -> str:
    """Return the first cell of a column that is a bound."""
    return next(repr(cell.strip()) for cell in table.columns[name] if unsigned_column([cell])[1].any())


def _assemble(table: Table, cleaned: list[Cleaned], labels: Labels, relations: np.ndarray) -> Support:
    """Keep the rows that have a sequence and a label, and say what is wrong with the others."""
    examples: list[Example] = []
    issues: list[Issue] = []
    for row, (one, record) in enumerate(zip(cleaned, table.records, strict=True)):
        issue = judge(row, one, labels)
        if issue is None:
            name = record.id or called(row, record.text.strip(), table.kind)
            value, relation = float(labels.values[row, 0]), int(relations[row])
            examples.append(Example(one.canonical, one.text, name, row, value, relation))
        else:
            shown = record.id or shortened(record.text.strip())
            issues.append(issue._replace(detail=f"{shown!r}: {issue.detail}" if shown else issue.detail))
    return make_support(
        examples, labels.task, issues=issues, notes=labels.notes, source=table.name, kind=table.kind
    )
