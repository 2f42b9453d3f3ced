"""What one task measures, for any choice of rows."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bio_xlstm.tasks.assay.metrics.binary import CHANCES, CUT, DECISIONS, SCORES, are_chances
from bio_xlstm.tasks.assay.metrics.multiclass import MULTICLASS
from bio_xlstm.tasks.assay.metrics.ranking import PROTEINGYM_CLASSES, PROTEINGYM_VALUES, RANKING
from bio_xlstm.tasks.assay.metrics.regression import NAN, REGRESSION, Function
from bio_xlstm.tasks.assay.task import Task

# labels with fewer rows of either class are left out of means over labels, and have no bootstrap interval: the same
# one or two rows are drawn again and again, and what is seen is how alike they are to themselves
ENOUGH = 5
# decisions that rest on the rows of one class
_BALANCED = ("mcc", "f1", "balanced_accuracy")

Table = Mapping[str, tuple[Function, str]]
Values = np.ndarray | Sequence[np.ndarray]


class Judge:
    """Hold what to compute for chosen rows, and how to explain it."""

    def __init__(
        self,
        compute: Callable[[np.ndarray], dict[str, float]],
        count: int,
        definitions: dict[str, str],
        *,
        width: int = 1,
        why: str = "",
        notes: dict[str, str] | None = None,
        few: dict[str, str] | None = None,
    ) -> None:
        self.compute, self.count, self.definitions = compute, count, definitions
        self.width, self.why, self.notes = width, why, notes or {}
        # why a metric has no interval
        self.few = few or {}


def judge(task: Task, values: Values, predicted: Values) -> Judge:
    """Choose the metrics of a task and bind them to values and predictions."""
    if task.name == "per_token":
        return _tokens([np.asarray(one) for one in values], [np.asarray(one) for one in predicted])
    truth, said = np.asarray(values, float), np.asarray(predicted, float)
    if task.name == "multiclass":
        kept = ~np.isnan(truth[:, 0]) & ~np.isnan(said).any(1)
        return _rows(truth[kept, 0], said[kept], MULTICLASS)
    if task.name == "binary":
        kept = ~np.isnan(truth[:, 0]) & ~np.isnan(said[:, 0])
        return _classes(truth[kept, 0], said[kept, 0])
    if task.name == "multilabel":
        return _labels(truth, said)
    return _numbers(truth, said, REGRESSION if task.name == "regression" else RANKING)


def judge_variants(values: np.ndarray, classes: np.ndarray, scores: np.ndarray) -> Judge:
    """Bind the metrics of ProteinGym to measured values (N,), their binary labels (N,) and scores (N,)."""

    def compute(rows: np.ndarray) -> dict[str, float]:
        if len(rows) < 2:
            return dict.fromkeys(words, NAN)
        numbers = {name: of(values[rows], scores[rows]) for name, (of, _) in PROTEINGYM_VALUES.items()}
        return numbers | {
            name: of(classes[rows], scores[rows]) for name, (of, _) in PROTEINGYM_CLASSES.items()
        }

    words = {name: definition for name, (_, definition) in (PROTEINGYM_VALUES | PROTEINGYM_CLASSES).items()}
    return Judge(compute, len(values), words, why=_why(values), few=_few(classes, tuple(PROTEINGYM_CLASSES)))


def mean_of(judges: Sequence[Judge], groups: np.ndarray, what: str) -> Judge:
    """Average metrics over groups, each with its own judge; `groups` (N,) number the judge of every row."""
    place = np.zeros(len(groups), np.int64)
    for number in range(len(judges)):
        mine = np.flatnonzero(groups == number)
        place[mine] = np.arange(len(mine))

    def compute(rows: np.ndarray) -> dict[str, float]:
        owner = groups[rows]
        found = [one.compute(place[rows[owner == number]]) for number, one in enumerate(judges)]
        return {name: _mean([one[name] for one in found]) for name in judges[0].definitions}

    words = {name: f"mean over {what}: {text}" for name, text in judges[0].definitions.items()}
    return Judge(compute, len(groups), words, width=judges[0].width, why=judges[0].why)


def _rows(truth: np.ndarray, said: np.ndarray, table: Table) -> Judge:
    """Judge one row of values by functions of (values, predictions)."""

    def compute(rows: np.ndarray) -> dict[str, float]:
        if len(rows) < 2:
            return dict.fromkeys(table, NAN)
        return {name: function(truth[rows], said[rows]) for name, (function, _) in table.items()}

    words = {name: definition for name, (_, definition) in table.items()}
    return Judge(compute, len(truth), words, why=_why(truth))


def _classes(truth: np.ndarray, scores: np.ndarray) -> Judge:
    """Judge scores of two classes; what needs probabilities is left out of what are none."""
    chances = are_chances(scores)

    def compute(rows: np.ndarray) -> dict[str, float]:
        return _of_classes(truth[rows], scores[rows], chances)

    tables = {**SCORES, **DECISIONS, **CHANCES}
    words = {name: definition for name, (_, definition) in tables.items()}
    notes = (
        {} if chances else dict.fromkeys((*DECISIONS, *CHANCES), "the scores are no probabilities (0 to 1)")
    )
    few = _few(truth, (*SCORES, *_BALANCED))
    return Judge(compute, len(truth), words, why=_why(truth), notes=notes, few=few)


def _of_classes(truth: np.ndarray, scores: np.ndarray, chances: bool) -> dict[str, float]:
    if len(truth) < 2:
        return dict.fromkeys((*SCORES, *DECISIONS, *CHANCES), NAN)
    found = {name: function(truth, scores) for name, (function, _) in SCORES.items()}
    decided = (scores >= CUT).astype(float)
    found |= {name: function(truth, decided) if chances else NAN for name, (function, _) in DECISIONS.items()}
    return found | {
        name: function(truth, scores) if chances else NAN for name, (function, _) in CHANCES.items()
    }


def _labels(truth: np.ndarray, said: np.ndarray) -> Judge:
    """Judge several labels, each on the rows that have it, by the mean over those with enough of both classes."""
    known = ~np.isnan(truth) & ~np.isnan(said)
    counts = [
        [int((truth[:, place][known[:, place]] == one).sum()) for one in (0, 1)]
        for place in range(truth.shape[1])
    ]
    used = [place for place, both in enumerate(counts) if min(both) >= ENOUGH]
    tables = {**SCORES, **DECISIONS, **CHANCES}
    chances = are_chances(said[known])

    def compute(rows: np.ndarray) -> dict[str, float]:
        found = []
        for place in used:
            mine = rows[known[rows, place]]
            found.append(_of_classes(truth[mine, place], said[mine, place], chances))
        return {f"macro_{name}": _mean([one[name] for one in found]) for name in tables}

    words = {f"macro_{name}": f"mean over labels: {definition}" for name, (_, definition) in tables.items()}
    note = f"mean of {len(used)} of {truth.shape[1]} labels: those with {ENOUGH} rows or more of both classes"
    notes = {} if len(used) == truth.shape[1] else dict.fromkeys(words, note)
    return Judge(compute, len(truth), words, width=truth.shape[1], why="", notes=notes)


def _numbers(truth: np.ndarray, said: np.ndarray, table: Table) -> Judge:
    """Judge numbers of one target, or the mean over several and each alone."""
    judges = []
    for place in range(truth.shape[1]):
        kept = ~np.isnan(truth[:, place]) & ~np.isnan(said[:, place])
        judges.append((kept, _rows(truth[:, place], said[:, place], table)))

    def compute(rows: np.ndarray) -> dict[str, float]:
        found = [judge.compute(rows[kept[rows]]) for kept, judge in judges]
        return {name: _mean([one[name] for one in found]) for name in table}

    words = {name: definition for name, (_, definition) in table.items()}
    several = f"mean over {truth.shape[1]} targets" if truth.shape[1] > 1 else ""
    why = _why(truth[:, 0][judges[0][0]])
    return Judge(
        compute, len(truth), words, width=truth.shape[1], why=why, notes=dict.fromkeys(words, several)
    )


def _tokens(truth: list[np.ndarray], said: list[np.ndarray]) -> Judge:
    """Judge the letters of sequences, all alike; sequences are drawn as a whole."""
    pairs = [
        (classes[classes >= 0].astype(float), chances[classes >= 0])
        for classes, chances in zip(truth, said, strict=True)
    ]

    def compute(rows: np.ndarray) -> dict[str, float]:
        chosen = [pairs[row] for row in rows.tolist()]
        classes, chances = (np.concatenate([pair[side] for pair in chosen]) for side in (0, 1))
        return {name: function(classes, chances) for name, (function, _) in MULTICLASS.items()}

    words = {name: f"over all letters: {definition}" for name, (_, definition) in MULTICLASS.items()}
    width = max(1, sum(len(classes) for classes, _ in pairs) // max(len(pairs), 1))
    return Judge(compute, len(pairs), words, width=width)


def _few(classes: np.ndarray, names: Sequence[str]) -> dict[str, str]:
    """Say of metrics of two classes why they have no interval."""
    known = classes[~np.isnan(classes)]
    least = int(min((known == 0).sum(), (known == 1).sum()))
    if least >= ENOUGH:
        return {}
    return dict.fromkeys(names, f"no interval: {least} {'row' if least == 1 else 'rows'} of one class")


def _mean(found: Sequence[float]) -> float:
    known = [one for one in found if not np.isnan(one)]
    return float(np.mean(known)) if known else NAN


def _why(truth: np.ndarray) -> str:
    """Say why a metric may not exist."""
    if len(truth) < 2:
        return f"{len(truth)} rows have both a value and a prediction"
    if len(np.unique(truth)) < 2:
        return "all values are equal"
    return "all predictions are equal"
