"""The test sequences on which the model errs most, to be looked at by someone who knows them."""

import numpy as np

from bio_xlstm.tasks.report.markup import Inside, Markup, element, joined
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.sequences import drawing, excerpt
from bio_xlstm.tasks.report.tables import facts, metric, note, number, percent

TITLE = "Worst errors"
_SHOWN = 12
# a probability of 0 for what happens would be an endless error
_LEAST = 1e-7


def error_part(run: RunFiles) -> Markup:
    """Show the worst errors of the test part."""
    if not run.has_rows:
        return note(
            "Errors of single sequences are not shown: predictions.csv has no measured values beside them."
        )
    errors = _errors(run)
    known = np.flatnonzero(np.isfinite(errors).any(1))
    if not len(known):
        return note("No test sequence has both a value and a prediction.")
    worst = np.where(np.isfinite(errors), errors, -np.inf).max(1)
    order = known[np.argsort(-worst[known], kind="stable")][:_SHOWN]
    return joined(
        element("p", _meaning(run)),
        element(
            "ol",
            [_card(run, place, int(np.nanargmax(errors[place]))) for place in order.tolist()],
            class_="cards",
        ),
    )


def _meaning(run: RunFiles) -> str:
    """Say what counts as an error."""
    rows = "Rows are counted from 0, as in predictions.csv."
    if run.task.name == "regression":
        several = ", in units of the spread of its target" if len(run.task.targets) > 1 else ""
        return f"Test sequences with the largest difference of predicted and measured value{several}. {rows}"
    if run.task.name == "ranking":
        return f"Test sequences whose rank by prediction is farthest from their rank by value. {rows}"
    return f"Test sequences of which the model thought least likely what was measured. {rows}"


def _errors(run: RunFiles) -> np.ndarray:
    """Return how wrong every prediction is (tested, T); NaN where that is not known."""
    truth, said = run.values[run.tested], run.predicted[run.tested]
    if run.task.name == "regression":
        spread = np.array(
            [np.std(column[np.isfinite(column)]) if np.isfinite(column).any() else 1 for column in truth.T]
        )
        found: np.ndarray = np.abs(truth - said) / np.where(spread > 0, spread, 1)
        return found
    if run.task.name == "ranking":
        return np.stack(
            [np.abs(_ranks(one) - _ranks(other)) for one, other in zip(truth.T, said.T, strict=True)], 1
        )
    if run.task.name == "multiclass":
        kept = np.isfinite(truth[:, 0])
        right = np.full(len(truth), np.nan)
        right[kept] = said[kept, truth[kept, 0].astype(int)]
        return -np.log(np.clip(right, _LEAST, 1))[:, None]
    return -np.log(np.clip(np.where(truth == 1, said, 1 - said), _LEAST, 1)) + 0 * truth


def _ranks(column: np.ndarray) -> np.ndarray:
    """Return ranks, NaN where there is no number."""
    from scipy.stats import rankdata

    found: np.ndarray = rankdata(column, nan_policy="omit")
    return found


def _card(run: RunFiles, tested: int, target: int) -> Markup:
    """Show one sequence with what was measured and what was predicted."""
    place = int(run.tested[tested])
    sequence = run.sequences[place]
    return element(
        "li",
        drawing(sequence, run.metrics["kind"]),
        element("p", excerpt(sequence), class_="sequence"),
        facts(_facts(run, place, target)),
    )


def _facts(run: RunFiles, place: int, target: int) -> dict[str, Inside]:
    """Write the numbers of one sequence."""
    found: dict[str, Inside] = {"row": f"{run.rows[place]:,}"}
    if len(run.task.targets) > 1:
        found["target"] = run.task.targets[target]
    value, said = float(run.values[place, target]), run.predicted[place]
    if run.task.numeric:
        found["measured"], found["predicted"] = number(value), number(float(said[target]))
        if run.low.shape[1] and np.isfinite(run.low[place, target]):
            ends = number(float(run.low[place, target])), number(float(run.high[place, target]))
            inside = run.low[place, target] <= value <= run.high[place, target]
            found["interval"] = f"{ends[0]} to {ends[1]}" + ("" if inside else " (missed)")
    else:
        found["measured"] = run.task.classes[int(value)]
        if run.task.name == "multiclass":
            best = int(said.argmax())
            found["predicted"] = f"{run.task.classes[best]}, {percent(float(said[best]))}"
            found["probability of the measured"] = percent(float(said[int(value)]))
        else:
            found[f"probability of {run.task.classes[-1]}"] = percent(float(said[target]))
    found["similarity to training"] = metric(float(run.similarity[place]))
    return found
