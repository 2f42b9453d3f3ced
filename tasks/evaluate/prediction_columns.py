"""Which columns of a file of predictions hold what was measured and what was predicted."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.records.columns import normal
from bio_xlstm.tasks.assay.columns import SURE, USUAL, listed
from bio_xlstm.tasks.evaluate.prediction_request import PredictionRequest

Columns = Mapping[str, Sequence[str]]

PREDICTION = (
    *("prediction", "predicted", "pred", "y_pred", "yhat", "y_hat", "probability", "prob", "proba", "chance"),
    *("predicted_value", "score", "log_likelihood_ratio", "llr", "logprob_mean", "logprob_sum", "logit"),
)
# what may be either is what was predicted, where another column can have been measured
TRUTH = (
    *(*SURE, "truth", "true", "actual", "observed", "expected"),
    *sorted(USUAL, key=lambda name: name in PREDICTION),
)
LABELS = ("dms_score_bin",)
ASSAYS = ("dms_id", "assay", "assay_id")


class Chosen(NamedTuple):
    """Name the columns: of T targets, and for each of them its prediction."""

    truth: list[str]
    prediction: list[str]
    chances: dict[str, str]
    """by class, the columns of probabilities of several classes"""
    labels: str | None = None
    by: str | None = None
    lower: str | None = None
    upper: str | None = None


def choose(columns: Columns, request: PredictionRequest, source: str) -> Chosen:
    """Find the columns by name where they are not given; raise InputError where that is not possible."""
    truth = [column(columns, name, source) for name in request.truth]
    prediction = [column(columns, name, source) for name in request.prediction]
    if not truth and not prediction:
        truth, prediction = _pairs(columns, request.goal)
    truth = truth or [_known(columns, TRUTH, prediction, "measured values", "--truth", source)]
    chances = {} if prediction or request.goal != "classification" else _chances(columns, truth)
    if not prediction and not chances:
        partners = [_partner(columns, name, request.goal) for name in truth]
        named = [name for name in partners if name is not None]
        if len(named) == len(truth):
            prediction = named
        else:
            prediction = [_known(columns, PREDICTION, truth, "predictions", "--prediction", source)]
    if prediction and len(truth) != len(prediction):
        raise ConfigError(
            f"{len(truth)} columns of measured values and {len(prediction)} of predictions; give one --prediction "
            "for every --truth, in the same order"
        )
    if both := set(truth) & set(prediction):
        raise ConfigError(f"column {both.pop()!r} cannot be both what was measured and what was predicted")
    return Chosen(truth, prediction, chances, **_others(columns, truth, request, source))


def column(columns: Columns, name: str, source: str) -> str:
    """Return a column as the table writes it."""
    matches = [one for one in columns if one == name] or [
        one for one in columns if normal(one) == normal(name)
    ]
    if not matches:
        raise InputError(f"{source}: there is no column {name!r}; the columns are {listed(columns)}")
    return matches[0]


def _others(
    columns: Columns, truth: list[str], request: PredictionRequest, source: str
) -> dict[str, str | None]:
    """Find labels, groups and the ends of intervals."""
    found: dict[str, str | None] = {}
    for role in ("labels", "by", "lower", "upper"):
        given = getattr(request, role)
        found[role] = None if given is None else column(columns, given, source)
    if request.goal == "proteingym":
        found["labels"] = found["labels"] or _first(columns, LABELS)
        found["by"] = found["by"] or _first(columns, ASSAYS)
    if request.goal == "regression" and len(truth) == 1 and found["lower"] is None:
        ends = [_first(columns, (f"{end}_{normal(truth[0])}", end)) for end in ("lower", "upper")]
        if None not in ends:
            found["lower"], found["upper"] = ends
    return found


def _pairs(columns: Columns, goal: str) -> tuple[list[str], list[str]]:
    """Return the columns that have a prediction named after them, as finetune writes them."""
    found = [(name, partner) for name in columns if (partner := _partner(columns, name, goal)) is not None]
    return [name for name, _ in found], [partner for _, partner in found]


def _partner(columns: Columns, name: str, goal: str) -> str | None:
    """Return the prediction of a column: the probability where classes are asked for, else the value."""
    prefixes: tuple[str, ...] = ("predicted", "prediction", "pred")
    if goal == "classification":
        prefixes = ("probability", "prob", "p", *prefixes)
    return _first(columns, [f"{prefix}_{normal(name)}" for prefix in prefixes])


def _chances(columns: Columns, truth: list[str]) -> dict[str, str]:
    """Return the columns of probabilities of every class of a column with several classes; empty where one lacks."""
    classes = sorted({cell.strip() for cell in columns[truth[0]]} - {""})
    if len(truth) > 1 or not 2 <= len(classes) <= 1000:
        return {}
    prefixes = ("probability", "prob", "p")
    found = {name: _first(columns, [f"{prefix}_{normal(name)}" for prefix in prefixes]) for name in classes}
    known = {name: where for name, where in found.items() if where is not None}
    return known if len(known) == len(classes) else {}


def _first(columns: Columns, names: Collection[str]) -> str | None:
    plain = {normal(name): name for name in columns}
    return next((plain[name] for name in names if name in plain), None)


def _known(
    columns: Columns, names: Collection[str], taken: Collection[str], what: str, option: str, source: str
) -> str:
    """Return the column with a known name."""
    found = _first({name: cells for name, cells in columns.items() if name not in taken}, names)
    if found is None:
        raise InputError(
            f"{source}: no column of {what} found; the columns are {listed(columns)}; name it with {option}"
        )
    return found
