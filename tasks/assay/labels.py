"""The cells of target columns as values, and the task that they show."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.tasks.assay.cells import NONE, is_missing, is_number, number
from bio_xlstm.tasks.assay.columns import is_yes_or_no, looks_like_dates
from bio_xlstm.tasks.assay.letter_labels import read_letters, shows_letters
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.choices import check_choice

# whole numbers up to so many different ones may be classes
MOST_NUMBERED_CLASSES = 20
ROWS_PER_CLASS = 10
# below this share of numbers, text is taken for classes; below the other, if nearly every text is met once
NUMBERS, MANY_NUMBERS = 0.8, 0.5
# what single precision holds
LARGEST, SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
# letters of any double precision number, exponent included, as Python writes it
LONGEST = 24
POSITIVE = frozenset(
    ("1", "true", "yes", "y", "t", "positive", "pos", "active", "+", "toxic", "binder", "hit")
)


@dataclass
class Labels:
    """Hold the values of R rows."""

    task: Task
    values: np.ndarray  # (R, T)
    problems: dict[int, str] = field(default_factory=dict)
    """rows with a cell that cannot be read, and why"""
    token_values: list[np.ndarray] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    blanks: dict[int, str] = field(default_factory=dict)
    """words for no value in rows that hold nothing else"""


def read_labels(
    cells: dict[str, Sequence[str]], sequences: Sequence[str], task: str | None, source: str
) -> Labels:
    """Read target columns (R,) each; `sequences` are the cleaned ones, "" where a row cannot be used."""
    if task is not None:
        check_choice("--task", task, tuple(READERS))
    for name, column in cells.items():
        if all(is_missing(cell) for cell in column):
            raise InputError(
                f"{source}: column {name!r} has no value in any of {len(column)} rows{blank(_blank(column))}"
            )
        if looks_like_dates(column):
            raise InputError(f"{source}: column {name!r} holds dates, not measured values")
    chosen, notes = (task, []) if task else find_task(cells, sequences, source)
    if len(cells) > 1 and chosen in ONE_TARGET:
        raise ConfigError(f"--task {chosen} takes one target, not {len(cells)}: {', '.join(cells)}")
    found = READERS[chosen](cells, sequences, source)
    found.notes[:0] = notes
    rows = enumerate(zip(*cells.values(), strict=True))
    found.blanks = {row: _blank(several) for row, several in rows if all(map(is_missing, several))}
    return found


def find_task(
    cells: dict[str, Sequence[str]], sequences: Sequence[str], source: str
) -> tuple[str, list[str]]:
    """Name the task that the cells show, and say what was decided."""
    columns = list(cells.values())
    if len(columns) > 1:
        if all(map(is_yes_or_no, columns)):
            return "multilabel", []
        if all(_share_of_numbers(column) >= NUMBERS for column in columns):
            return "regression", []
        raise InputError(
            f"{source}: the targets {', '.join(cells)} hold neither numbers alone nor 0 and 1 alone"
        )
    (name, column), *_ = cells.items()
    if shows_letters(column, sequences):
        return "per_token", [f"column {name!r} holds one label per letter"]
    present = [cell.strip() for cell in column if not is_missing(cell)]
    different = set(present)
    many = len(different) > max(2, len(present) // 2)
    if _share_of_numbers(column) < (MANY_NUMBERS if many else NUMBERS):
        if many:
            some = ", ".join(repr(cell[:20]) for cell in sorted(different)[:3])
            raise InputError(
                f"{source}: column {name!r} holds {len(different)} different texts in {len(present)} rows "
                f"({some}, ...): neither numbers nor classes"
            )
        return ("binary" if len(different) <= 2 else "multiclass"), []
    if {float(cell) for cell in different if is_number(cell)} in ({0.0, 1.0}, {-1.0, 1.0}):
        return "binary", []
    if _are_numbered_classes(present):
        note = f"the {len(different)} whole numbers of {name!r} are read as classes; --task regression if they measure"
        return "multiclass", [note]
    if all(cell.isdigit() for cell in different):
        return "regression", [
            f"all values of {name!r} are whole numbers; --task multiclass if they name classes"
        ]
    return "regression", []


def read_numbers(cells: dict[str, Sequence[str]], name: str) -> Labels:
    """Read measured numbers."""
    rows = len(next(iter(cells.values())))
    found = Labels(Task(name, tuple(cells)), np.full((rows, len(cells)), np.nan))
    for place, (target, column) in enumerate(cells.items()):
        for row, cell in enumerate(column):
            try:
                found.values[row, place] = computable(number(cell), cell)
            except ValueError as error:
                found.problems.setdefault(row, f"column {target!r}: {error}")
    return found


def read_classes(cells: dict[str, Sequence[str]], name: str, source: str) -> Labels:
    """Read one column of classes."""
    ((target, column),) = cells.items()
    names = [_class_name(cell) for cell in column]
    classes = _ordered({one for one in names if one})
    _refuse_none(column, target, classes, source)
    if name == "binary" and len(classes) > 2:
        few = ", ".join(classes[:5])
        raise InputError(f"{source}: column {target!r} has {len(classes)} classes ({few}, ...), not two")
    numbers = {one: place for place, one in enumerate(classes)}
    values = np.array([[numbers.get(one, math.nan)] for one in names], np.float64).reshape(-1, 1)
    found = Labels(Task(name, (target,), classes), values)
    if name == "binary" and len(classes) == 2 and not all(map(is_number, classes)):
        found.notes.append(f"{classes[1]!r} of {target!r} counts as positive, {classes[0]!r} as negative")
    return found


def read_panel(cells: dict[str, Sequence[str]]) -> Labels:
    """Read several columns of 0 and 1 with gaps."""
    found = read_numbers(cells, "multilabel")
    wrong = ~np.isin(found.values, (0, 1)) & ~np.isnan(found.values)
    for row, place in np.argwhere(wrong).tolist():
        target = list(cells)[place]
        found.problems.setdefault(
            row, f"column {target!r}: {cells[target][row].strip()!r} is neither 0 nor 1"
        )
    found.values[wrong] = np.nan
    found.task = Task("multilabel", tuple(cells), ("0", "1"))
    return found


def _read_tokens(cells: dict[str, Sequence[str]], sequences: Sequence[str], source: str) -> Labels:
    ((target, column),) = cells.items()
    classes, values, problems = read_letters(column, sequences)
    if len(classes) < 2:
        raise InputError(f"{source}: column {target!r} has no two different labels of letters")
    task = Task("per_token", (target,), classes)
    return Labels(task, np.zeros((len(column), 0)), problems, values)


Reader = Callable[[dict[str, Sequence[str]], Sequence[str], str], Labels]
READERS: dict[str, Reader] = {
    "regression": lambda cells, sequences, source: read_numbers(cells, "regression"),
    "ranking": lambda cells, sequences, source: read_numbers(cells, "ranking"),
    "binary": lambda cells, sequences, source: read_classes(cells, "binary", source),
    "multiclass": lambda cells, sequences, source: read_classes(cells, "multiclass", source),
    "multilabel": lambda cells, sequences, source: read_panel(cells),
    "per_token": _read_tokens,
}
ONE_TARGET = ("binary", "multiclass", "per_token", "ranking")


def computable(value: float, cell: str) -> float:
    """Return a number that training can compute with; ValueError says why it is none."""
    size, text = abs(value), cell.strip()
    # what is not measured, NaN, is neither
    if not (size > LARGEST or 0 < size < SMALLEST):
        return value
    # of a number, the end says how large it is
    shown = text if len(text) <= LONGEST else f"{value:g}"
    what = "large" if size > LARGEST else "small"
    raise ValueError(f"{shown!r} is too {what}; write it in another unit, or its logarithm")


def blank(word: str) -> str:
    """Say after a message about missing values which word was taken for one; nothing where the cell is empty."""
    return f": {word!r} counts as missing" if word else ""


def _blank(cells: Sequence[str]) -> str:
    """Return the first word among cells without a value, "" where all are empty."""
    return next((cell.strip() for cell in cells if cell.strip()), "")


def _refuse_none(column: Sequence[str], target: str, classes: Sequence[str], source: str) -> None:
    """Raise InputError where a word for no value may as well be the second class."""
    word = next((cell.strip() for cell in column if cell.strip().lower() == NONE), None)
    if len(classes) == 1 and word is not None:
        other = {"1": "0"}.get(classes[0], f"not {classes[0]}")
        raise InputError(
            f"{source}: column {target!r} holds {classes[0]!r} and {word!r}, which may be a class or say that there is "
            f"no value; write {other!r} for a class, or leave cells without a value empty"
        )


def _share_of_numbers(column: Sequence[str]) -> float:
    present = [cell for cell in column if not is_missing(cell)]
    return sum(map(is_number, present)) / max(len(present), 1)


def _are_numbered_classes(present: Sequence[str]) -> bool:
    """Say whether the numbers are 0, 1, 2, ... or 1, 2, 3, ..., few and each often met."""
    counts = Counter(present)
    if not all(cell.isdigit() for cell in counts):
        return False
    numbers = sorted(int(cell) for cell in counts)
    follow = numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))
    return follow and len(numbers) <= MOST_NUMBERED_CLASSES and len(present) >= ROWS_PER_CLASS * len(numbers)


def _class_name(cell: str) -> str:
    """Write a class in one form: 1.0 is 1."""
    text = cell.strip()
    if is_missing(text):
        return ""
    return f"{float(text):g}" if is_number(text) else text


def _ordered(classes: set[str]) -> tuple[str, ...]:
    """Order classes: numbers by size, a positive one of two last, others by alphabet."""
    if all(map(is_number, classes)):
        return tuple(sorted(classes, key=float))
    ordered = sorted(classes, key=lambda name: (name.lower(), name))
    if len(ordered) == 2 and _is_positive(ordered[0]) and not _is_positive(ordered[1]):
        ordered.reverse()
    return tuple(ordered)


def _is_positive(name: str) -> bool:
    return name.lower() in POSITIVE or name.endswith("+")
