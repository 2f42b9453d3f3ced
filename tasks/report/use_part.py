"""How the model is used, and how it was made."""

import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bio_xlstm import __version__
from bio_xlstm.tasks.report.markup import Markup, element, joined
from bio_xlstm.tasks.report.run_files import RunFiles
from bio_xlstm.tasks.report.tables import facts, note, table

TITLE = "Use, settings, versions"
_LIBRARIES = ("torch", "numpy", "scikit-learn", "rdkit", "pytorch-lightning")


def use_part(run: RunFiles) -> Markup:
    """Say how to predict, with what settings the model was made, and with which versions."""
    name = run.directory.resolve().name
    command = f"bioxlstm predict {shlex.quote(name)} NEW.csv -o predictions.csv"
    python = (
        f"from bio_xlstm.tasks.finetune.directory import load_finetuned\n\nmodel = load_finetuned({name!r})"
    )
    column = run.about.get("sequence_column", "")
    return joined(
        element("p", "In the folder that holds the model directory:"),
        element("pre", element("code", command), tabindex=0),
        element(
            "p",
            "NEW.csv needs a column of sequences, such as ",
            element("code", column),
            " here; its columns are kept, and prediction, uncertainty, similarity to the training sequences and status "
            "are added. A prediction is worth what this report says only for sequences like those of the test part: "
            "the column in_domain tells which are. In predictions.csv, rows of the part train were trained on: what is "
            "said of them is no prediction.",
        ),
        element("pre", element("code", python), tabindex=0),
        note("The terms of the data decide what the model may be used for."),
        _settings(run),
        facts(_versions(run)),
    )


def _settings(run: RunFiles) -> Markup:
    """Write all settings of the run."""
    rows = [(f"--{name.replace('_', '-')}", _shown(value)) for name, value in run.metrics["settings"].items()]
    found = table(("setting", "value"), rows, title="Settings of finetune", numbers=False)
    return element("details", element("summary", "Settings"), found)


def _versions(run: RunFiles) -> dict[str, str]:
    """Name the versions with which the model and this report were made."""
    found = {"Model made with": f"bio_xlstm {run.about.get('version', 'unknown')}"}
    if run.about.get("version") != __version__:
        found["Report made with"] = f"bio_xlstm {__version__}"
    found["Model adapted"] = f"{run.metrics['model']}, method {run.metrics['method']}"
    found["Members"] = f"{len(run.metrics['members'])}, seed {run.metrics['seed']}"
    found["Libraries"] = ", ".join(
        [f"Python {platform.python_version()}", *filter(None, map(_library, _LIBRARIES))]
    )
    return found


def _library(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "not given"
    return str(value)
