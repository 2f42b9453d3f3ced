"""What there is to know about an assay before a model is trained on it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bio_xlstm.tasks.assay.columns import looks_like_numbering
from bio_xlstm.tasks.assay.task import Task

EXAMPLES = 5
RARE = 5
# so few different numbers, in so many rows each, may be classes
FEW_VALUES, ROWS_PER_VALUE = 3, 3


@dataclass(frozen=True)
class Audit:
    """Hold the findings; `lines` writes them for people."""

    input_rows: int
    used: int
    statuses: dict[str, int]
    """rows of the input by status"""
    duplicates: int
    """rows beyond the first of every sequence written in the same letters"""
    canonical_duplicates: int
    """the same for molecules or sequences that are the same, however written"""
    conflicting: int
    """different sequences that have rows with different values"""
    conflict_examples: list[list[int]]
    """input rows of some of them"""
    missing: dict[str, int]
    """used rows without a value, by target"""
    constant: list[str]
    """targets that have one value alone"""
    class_counts: dict[str, dict[str, int]]
    """by target, how many used rows have each class; for per_token, how many letters"""
    lengths: tuple[int, int, int]
    """shortest, median and longest sequence, in letters or characters"""
    value_range: dict[str, tuple[float, float, float]]
    """by target, smallest, median and largest number"""
    notes: list[str]
    """what was decided for the user, and what looks like a mistake, one sentence each"""

    def lines(self) -> list[str]:
        """Describe the findings, one line each."""
        bad = {status: count for status, count in self.statuses.items() if status not in ("ok", "cleaned")}
        reasons = ", ".join(f"{count:,} {status}" for status, count in bad.items())
        found = [f"{self.used:,} of {self.input_rows:,} rows can be used" + (f" ({reasons})" if bad else "")]
        found.append(f"lengths {self.lengths[0]:,} to {self.lengths[2]:,}, median {self.lengths[1]:,}")
        for target, counts in self.class_counts.items():
            shown = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:10])
            found.append(f"{target}: {shown}" + (", ..." if len(counts) > 10 else ""))
        for target, (low, middle, high) in self.value_range.items():
            found.append(f"{target}: {low:.4g} to {high:.4g}, median {middle:.4g}")
        if self.canonical_duplicates:
            found.append(
                f"{self.canonical_duplicates:,} rows repeat a sequence, {self.duplicates:,} letter by letter"
            )
        if self.conflicting:
            found.append(f"{self.conflicting:,} sequences have rows with different values")
        return [*found, *self.notes]


def audit_assay(
    task: Task,
    sequences: Sequence[str],
    canonical: Sequence[str],
    rows: np.ndarray,
    values: np.ndarray,
    token_values: Sequence[np.ndarray],
    statuses: Mapping[str, int],
    target_cells: Mapping[str, Sequence[str]],
    notes: Sequence[str],
) -> Audit:
    """Look at N usable sequences and their values (N, T); `statuses` counts all rows of the input."""
    lengths = np.array([len(text) for text in sequences])
    conflicts = find_conflicts(canonical, values)
    counts = count_classes(task, values, token_values)
    return Audit(
        input_rows=sum(statuses.values()),
        used=len(sequences),
        statuses=dict(statuses),
        duplicates=len(sequences) - len(set(sequences)),
        canonical_duplicates=len(sequences) - len(set(canonical)),
        conflicting=len(conflicts),
        conflict_examples=[rows[numbers].tolist() for numbers in conflicts[:EXAMPLES]],
        missing={
            name: int(np.isnan(values[:, place]).sum()) for place, name in enumerate(_columns(task, values))
        },
        constant=[
            name for place, name in enumerate(_columns(task, values)) if _is_constant(values[:, place])
        ],
        class_counts=counts,
        lengths=(int(lengths.min()), int(np.median(lengths)), int(lengths.max())),
        value_range={
            name: _range(values[:, place]) for place, name in enumerate(task.targets) if task.numeric
        },
        notes=[*notes, *_suspicions(target_cells), *_few(task, values), *_rare(counts)],
    )


def find_conflicts(canonical: Sequence[str], values: np.ndarray) -> list[list[int]]:
    """Return the numbers of the rows of every sequence that has two different values of one target."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, key in enumerate(canonical):
        groups[key].append(number)
    several = [numbers for numbers in groups.values() if len(numbers) > 1]
    return [numbers for numbers in several if values.shape[1] and _differ(values[numbers])]


def count_classes(
    task: Task, values: np.ndarray, token_values: Sequence[np.ndarray]
) -> dict[str, dict[str, int]]:
    """Count the rows, or letters, of every class of every target."""
    if task.numeric:
        return {}
    if task.name == "per_token":
        columns = [np.concatenate([*token_values, np.zeros(0, np.int16)]).astype(float)]
    else:
        columns = list(values.T)
    found = {}
    for target, column in zip(task.targets, columns, strict=True):
        counts = Counter(column[~np.isnan(column)].tolist())
        found[target] = {name: counts[place] for place, name in enumerate(task.classes)}
    return found


def _columns(task: Task, values: np.ndarray) -> tuple[str, ...]:
    return task.targets[: values.shape[1]]


def _is_constant(column: np.ndarray) -> bool:
    return len(np.unique(column[~np.isnan(column)])) < 2


def _differ(values: np.ndarray) -> bool:
    """Say whether a column of some rows holds two different numbers."""
    return any(not np.isnan(column).all() and np.nanmin(column) != np.nanmax(column) for column in values.T)


def _range(column: np.ndarray) -> tuple[float, float, float]:
    found = column[~np.isnan(column)]
    if not len(found):
        return (float("nan"),) * 3
    return float(found.min()), float(np.median(found)), float(found.max())


def _suspicions(cells: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"column {name!r} counts its rows (1, 2, 3, ...): is it a number of rows rather than a measurement?"
        for name, column in cells.items()
        if looks_like_numbering(column)
    ]


def _few(task: Task, values: np.ndarray) -> list[str]:
    """Doubt numbers of which there are hardly any different ones."""
    notes = []
    for name, column in zip(task.targets, values.T, strict=True) if task.name == "regression" else ():
        known = column[~np.isnan(column)]
        different = [f"{one:g}" for one in np.unique(known).tolist()]
        if 1 < len(different) <= FEW_VALUES <= len(known) / ROWS_PER_VALUE:
            means = "binary" if len(different) == 2 else "multiclass"
            notes.append(
                f"{name!r} is {', '.join(different[:-1])} or {different[-1]} in all {len(known):,} rows; "
                f"--task {means} if these are classes"
            )
    return notes


def _rare(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    rare = [f"{name!r} of {target!r} ({count})" for target, classes in counts.items()
            for name, count in classes.items() if count < RARE]  # fmt: skip
    if not rare:
        return []
    more = f" and {len(rare) - EXAMPLES} more" if len(rare) > EXAMPLES else ""
    return [f"fewer than {RARE} rows have {', '.join(rare[:EXAMPLES])}{more}"]
