"""Which is better, the model or the best of the simple ones: said plainly."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bio_xlstm.tasks.assay.metrics.judge import ENOUGH
from bio_xlstm.tasks.assay.metrics.measure import LOWER_IS_BETTER, compare
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.tables import metric, with_interval

Gain = tuple[float, float | None, float | None]


class Verdict(NamedTuple):
    """Hold a sentence and how it is meant: good, note or warning."""

    words: str
    kind: str


def judge_run(run: RunFiles) -> Verdict:
    """Compare the model with the best baseline in the main metric, on the same test sequences."""
    own = run.metric(run.main)
    if own is None:
        why = next((one["note"] for one in run.metrics["test"] if one["metric"] == run.main), "no test part")
        return Verdict(f"The model cannot be judged: {run.main} does not exist ({why}).", "warning")
    best = best_baseline(run)
    if best is None:
        words = f"Test {run.main} {metric(own['value'])}. No baseline stands beside it"
        reason = "none of them has this metric" if run.metrics["baselines"] else "--no-baselines"
        return Verdict(f"{words} ({reason}), so that it cannot be said what the model is worth.", "note")
    name, other = best
    sign = -1 if run.main in LOWER_IS_BETTER else 1
    ahead = sign * (own["value"] - other["value"])
    gain = _gain(run, name)
    apart = gain is not None and _is_apart(gain)
    meant = f" ({own['note']})" if own["note"] else ""
    measured = f"{run.main} {metric(own['value'])} against {metric(other['value'])}{meant}"
    few = too_few(run)
    if few:
        words = f"{few} it cannot be told which is better, the model or the baseline {name!r}: {measured}."
        return Verdict(words, "warning")
    difference = "" if gain is None else f"; difference {with_interval(*gain)}, on the same sequences"
    if not ahead:
        return Verdict(f"No better than the baseline {name!r}: {measured}. {_ADVICE}", "warning")
    if ahead < 0:
        doubt = "" if apart or gain is None else f" {_CHANCE}"
        return Verdict(
            f"The baseline {name!r} is better: {measured}{difference}.{doubt} {_ADVICE}", "warning"
        )
    words = f"Better than every baseline; the best of them is {name!r}: {measured}{difference}."
    if not apart and gain is not None:
        return Verdict(f"{words} {_CHANCE}", "note")
    return Verdict(words, "good")


def too_few(run: RunFiles) -> str:
    """Say why the test part is too small to compare models; nothing where it is not."""
    count = len(run.tested)
    if count < FEWEST:
        return f"With {count} test {'row' if count == 1 else 'rows'}"
    if run.task.name != "binary" or not run.has_rows:
        return ""
    least = min(int((run.values[run.tested, 0] == place).sum()) for place in (0, 1))
    return f"With {least} test {'row' if least == 1 else 'rows'} of one class" if least < ENOUGH else ""


# test rows below which no model is called the better one
FEWEST = 10
_CHANCE = "The difference is within what the choice of test sequences explains."
_ADVICE = "Prefer the simpler model unless other measures below speak against it."


def best_baseline(run: RunFiles) -> tuple[str, Mapping[str, Any]] | None:
    """Return the best simple model in the main metric; None where none of them has it."""
    sign = -1 if run.main in LOWER_IS_BETTER else 1
    found = [(name, run.metric(run.main, one["test"])) for name, one in run.metrics["baselines"].items()]
    known = [(name, one) for name, one in found if one is not None]
    return max(known, key=lambda pair: sign * pair[1]["value"]) if known else None


def _is_apart(gain: Gain) -> bool:
    """Tell whether the interval of a difference holds no zero."""
    _, low, high = gain
    return low is not None and high is not None and (low > 0 or high < 0)


def _gain(run: RunFiles, name: str) -> Gain | None:
    """Measure how much better the model is, with the interval of the difference; None without predictions."""
    if not run.has_rows or name not in run.baselines:
        return None
    settings = run.metrics["settings"]
    found = compare(
        run.task, run.values[run.tested], run.predicted[run.tested], run.baselines[name],
        metric=run.main, bootstrap=settings["bootstrap"], seed=run.metrics["seed"],
    )  # fmt: skip
    return None if found.value is None else (found.value, found.low, found.high)
