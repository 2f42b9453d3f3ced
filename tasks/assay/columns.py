"""Which columns of a table hold the measured values, where the user does not say."""

import re
from collections.abc import Mapping, Sequence

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.records.columns import ID_COLUMNS, SHOWN, column_kind, normal
from bio_xlstm.tasks.assay.cells import is_missing, is_number

# names that say nothing but "to be predicted"
SURE = ("target", "label", "labels", "y", "y_true", "ground_truth", "dms_score", "outcome", "response")
# names that measured values often have
USUAL = (
    *(
        "value",
        "values",
        "score",
        "fitness",
        "activity",
        "active",
        "class",
        "exp",
        "meas",
        "measured",
        "measurement",
    ),
    *(
        "measured_value",
        "effect",
        "property",
        "p_np",
        "pchembl_value",
        "pic50",
        "ic50",
        "ec50",
        "pec50",
        "ki",
        "pki",
    ),
    *(
        "kd",
        "pkd",
        "log_fluorescence",
        "stability",
        "topt",
        "tm",
        "melting_temperature",
        "logs",
        "logd",
        "logbb",
    ),
    *("solubility", "affinity", "binding", "expression", "toxicity", "hiv_active"),
)
# columns of <, = and >
RELATIONS = ("relation", "standard_relation", "qualifier")
# columns that say which part a row belongs to
PART_COLUMNS = ("set", "split", "fold", "folds", "validation", "valid", "part", "subset", "cv", "stage")
PART_NAMES = {"train", "training", "valid", "validation", "val", "dev", "test", "testing", "holdout", ""}
# columns that number or name rows
COUNTING = {
    *ID_COLUMNS,
    "num",
    "no",
    "number",
    "index",
    "row",
    "unnamed_0",
    "",
    "smiles_id",
    "dataset",
    "date",
}
# what a model said is no measurement, and what a descriptor says none either
PREDICTED = frozenset(("predicted", "prediction", "pred", "calculated", "calc"))
OBSERVED = frozenset(("measured", "experimental", "observed", "exp"))

DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
FEW = 20


def choose_targets(
    columns: Mapping[str, Sequence[str]], sequence: str, asked: Sequence[str] | None, source: str
) -> list[str]:
    """Return the names of the target columns: those asked for, else the ones that the names and cells show.

    Raise InputError where there is none, or several could be meant.
    """
    if asked:
        return [_named(columns, name, sequence, source) for name in asked]
    fitting = _fitting(columns, sequence)
    # a panel of assays: columns of 0 and 1 with gaps
    if len(fitting) == 1 or (fitting and all(is_yes_or_no(columns[name]) for name in fitting)):
        return fitting
    if fitting:
        several = listed(fitting)
        raise InputError(
            f"{source}: the columns {several} could all be meant; name one or more with --target"
        )
    raise _nothing_measured(columns, source)


def choose_target(columns: Mapping[str, Sequence[str]], sequence: str, asked: str | None, source: str) -> str:
    """Return the name of the one target column: that asked for, else the one that the names and cells show.

    Where no cells show one, a known name does. Raise InputError where there is none, or several could be meant.
    """
    if asked is not None:
        return _named(columns, asked, sequence, source)
    fitting = _fitting(columns, sequence)
    fitting = fitting or [name for name in columns if name != sequence and normal(name) in SURE + USUAL]
    if len(fitting) > 1:
        raise InputError(
            f"{source}: the columns {listed(fitting)} could all be meant; name one with --target"
        )
    if not fitting:
        raise _nothing_measured(columns, source)
    return fitting[0]


def _fitting(columns: Mapping[str, Sequence[str]], sequence: str) -> list[str]:
    """Return the columns that are meant, as far as the names and cells show."""
    found = candidates(columns, sequence)
    for known in (SURE, USUAL):
        # a known name over a mostly empty column may be beside the point
        fitting = [name for name in found if normal(name) in known and _filled(columns[name]) >= 0.5]
        if len(fitting) == 1:
            return fitting
        if fitting:
            break
    else:
        fitting = found
    observed = [name for name in fitting if OBSERVED & set(normal(name).split("_"))]
    return observed if len(observed) == 1 else fitting


def _nothing_measured(columns: Mapping[str, Sequence[str]], source: str) -> InputError:
    return InputError(
        f"{source}: no column of measured values found; the columns are {listed(columns)}; name one with --target"
    )


def candidates(columns: Mapping[str, Sequence[str]], sequence: str) -> list[str]:
    """Return the columns that could hold measured values: numbers or few classes, neither names nor parts."""
    return [
        name
        for name, cells in columns.items()
        if name != sequence
        and column_kind(name) is None
        and normal(name) not in COUNTING | set(PART_COLUMNS)
        and not PREDICTED & set(normal(name).split("_"))
        and (normal(name) in SURE or _could_be_measured(cells))
    ]


def listed(names: Sequence[str] | Mapping[str, object]) -> str:
    """Write column names in one line, the first ones alone where there are many."""
    return ", ".join([name or "''" for name in list(names)[:SHOWN]] + ["..."] * (len(names) > SHOWN))


def is_yes_or_no(cells: Sequence[str]) -> bool:
    """Say whether a column holds nothing but 0 and 1, and gaps."""
    found = {cell.strip() for cell in cells}
    return {cell for cell in found if not is_missing(cell)} <= {"0", "1", "0.0", "1.0"}


def looks_like_dates(cells: Sequence[str]) -> bool:
    """Say whether nearly all cells are dates."""
    present = [cell.strip() for cell in cells if not is_missing(cell)]
    return bool(present) and sum(bool(DATE.fullmatch(cell)) for cell in present) >= 0.9 * len(present)


def looks_like_numbering(cells: Sequence[str]) -> bool:
    """Say whether a column counts its rows: whole numbers, each one more than the one before."""
    present = [cell.strip() for cell in cells if not is_missing(cell)]
    if len(present) < 10 or not all(re.fullmatch(r"\d+", cell) for cell in present):
        return False
    numbers = [int(cell) for cell in present]
    return all(after == before + 1 for before, after in zip(numbers[:-1], numbers[1:], strict=True))


def _could_be_measured(cells: Sequence[str]) -> bool:
    present = [cell.strip() for cell in cells if not is_missing(cell)]
    if not present or looks_like_dates(present) or looks_like_numbering(present):
        return False
    if {cell.lower() for cell in present} <= PART_NAMES:
        return False
    if sum(is_number(cell) for cell in present) >= 0.8 * len(present):
        return True
    return 1 < len(set(present)) <= min(FEW, len(present) // 2)


def _filled(cells: Sequence[str]) -> float:
    """Return the share of cells that hold something."""
    return sum(not is_missing(cell) for cell in cells) / max(len(cells), 1)


def _named(columns: Mapping[str, Sequence[str]], name: str, sequence: str, source: str) -> str:
    """Find a column by its name, blanks and case aside."""
    matches = [one for one in columns if one == name] or [
        one for one in columns if normal(one) == normal(name)
    ]
    if not matches:
        raise InputError(f"{source}: there is no column {name!r}; the columns are {listed(columns)}")
    if matches[0] == sequence:
        raise ConfigError(f"{source}: column {sequence!r} holds the sequences; it cannot be the target too")
    return matches[0]
