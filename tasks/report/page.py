"""The page: a head that forbids everything from outside, a summary, and the parts in their order."""

from collections.abc import Callable
from pathlib import PurePath

from bio_xlstm.tasks.report import (
    answer_part,
    calibration_part,
    data_part,
    error_part,
    learning_part,
    metric_part,
    split_part,
    use_part,
)
from bio_xlstm.tasks.report.markup import Markup, element, joined
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.style import style

# scripts, and anything from the network, are refused by the browser too
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_KINDS = {"smiles": "molecules", "protein": "proteins", "dna": "DNA"}
_TASKS = {
    "regression": "Regression of",
    "ranking": "Ranking by",
    "binary": "Two classes of",
    "multiclass": "Several classes of",
    "multilabel": "Several labels,",
    "per_token": "One label per letter,",
}
PARTS: dict[str, tuple[str, Callable[[RunFiles], Markup]]] = {
    "data": (data_part.TITLE, data_part.data_part),
    "split": (split_part.TITLE, split_part.split_part),
    "metrics": (metric_part.TITLE, metric_part.metric_part),
    "answers": (answer_part.TITLE, answer_part.answer_part),
    "calibration": (calibration_part.TITLE, calibration_part.calibration_part),
    "learning": (learning_part.TITLE, learning_part.learning_part),
    "errors": (error_part.TITLE, error_part.error_part),
    "use": (use_part.TITLE, use_part.use_part),
}


def page(run: RunFiles) -> str:
    """Write the whole document."""
    title = f"Model of {PurePath(run.metrics['settings']['input']).name}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style())),
    )
    links = [element("li", element("a", name, href=f"#{key}")) for key, (name, _) in PARTS.items()]
    nav = element("nav", element("ul", links), aria_label="Parts of this report")
    parts = [
        element(
            "section",
            element("h2", name, id=f"{key}-title"),
            part(run),
            id=key,
            aria_labelledby=f"{key}-title",
        )
        for key, (name, part) in PARTS.items()
    ]
    top = element("header", element("h1", title), element("p", _summary(run)), nav)
    foot = element(
        "footer", element("p", "Written by bio_xlstm. This file needs no network and holds no scripts.")
    )
    body = element("body", top, element("main", parts), foot)
    return f"<!doctype html>\n{element('html', joined(head, body), lang='en')}\n"


def _summary(run: RunFiles) -> str:
    """Say in one sentence what the model is."""
    targets = ", ".join(run.task.targets[:5]) + (
        f" and {len(run.task.targets) - 5} more" * (len(run.task.targets) > 5)
    )
    return (
        f"{_TASKS[run.task.name]} {targets}, from {_KINDS[run.metrics['kind']]}: "
        f"{run.metrics['model']}, method {run.metrics['method']}, {run.metrics['split']['method']} split."
    )
