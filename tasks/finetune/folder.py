"""The folder of a run: whose it is, what of it is done, and what stands in the way."""

import json
import shutil
from pathlib import Path
from typing import Any

from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.tasks.finetune.directory import ABOUT
from bio_xlstm.tasks.finetune.request import FinetuneRequest
from bio_xlstm.tasks.finetune.results import BASELINES, METRICS, PREDICTIONS, SPLITS
from bio_xlstm.tasks.journal import file_hash
from bio_xlstm.tasks.pretrain.run_folder import IDENTITY, RunFolder, make_folder

REPORT = "report.html"
# what a run writes besides the training folder and members
_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "README.md",
    "head.safetensors",
    "initial.state",
)
_OWN = (ABOUT, METRICS, PREDICTIONS, SPLITS, BASELINES, REPORT, "domain.safetensors", *_FILES)


def check_folder(request: FinetuneRequest) -> None:
    """Refuse a folder that this run may neither begin nor take up, before anything is read; nothing is changed.

    OutputError where it holds a finished model or something else, ConfigError where it was begun with other settings.
    """
    output = Path(request.output)
    folder = RunFolder(output)
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file; a fine-tuned model is written as a folder")
    ours = (folder.path / IDENTITY).is_file() or (output / ABOUT).is_file()
    if output.is_dir() and any(output.iterdir()) and not ours:
        raise OutputError(f"{output} holds files but no fine-tuned model; give the output another name")
    if request.overwrite:
        return
    if (output / ABOUT).is_file():
        raise OutputError(f"{output} already holds a fine-tuned model; use --overwrite to make it anew")
    known, now = _known(folder), identity(request)
    if known is not None and not request.resume:
        raise OutputError(
            f"{folder.path} is left from an earlier run; use --resume to continue it or --overwrite"
        )
    if known is not None and known != now:
        raise ConfigError(
            f"{folder.path} was begun with {_difference(known, now)}; use --overwrite to begin again"
        )


def begin_folder(request: FinetuneRequest) -> RunFolder:
    """Make the folder of a run that is known to be possible, or take up one that was begun with the same command."""
    folder = RunFolder(Path(request.output))
    if request.overwrite:
        _clear(folder.output)
    make_folder(folder.path)
    (folder.path / IDENTITY).write_text(json.dumps(identity(request), indent=2), encoding="utf-8")
    return folder


def clear_scaffolding(folder: RunFolder) -> None:
    """Remove what a finished run needs no more: checkpoints, and members as they were kept to go on from."""
    for checkpoint in folder.path.glob("member-*.ckpt"):
        checkpoint.unlink(missing_ok=True)
    shutil.rmtree(members_folder(folder), ignore_errors=True)


def members_folder(folder: RunFolder) -> Path:
    """Return where members of an unfinished run are kept."""
    return folder.path / "members"


def identity(request: FinetuneRequest) -> dict[str, Any]:
    """Return what tells one run from another: its settings and its data."""
    path = Path(request.input)
    return {**json.loads(json.dumps(request.identity())), "data": file_hash(path) if path.is_file() else ""}


def _known(folder: RunFolder) -> dict[str, Any] | None:
    """Return the identity of the run that was begun here, None where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder.path / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _difference(known: dict[str, Any], now: dict[str, Any]) -> str:
    """Say in which setting two runs differ."""
    name = next((name for name in now if known.get(name) != now[name]), "data")
    if name == "data":
        return "other data"
    return f"--{name.replace('_', '-')} {known.get(name)}, now it is {now[name]}"


def _clear(output: Path) -> None:
    """Remove what an earlier run wrote, and nothing else."""
    if not output.is_dir():
        return
    for name in _OWN:
        (output / name).unlink(missing_ok=True)
    for folder in (output / "training", *output.glob("member-*")):
        shutil.rmtree(folder, ignore_errors=True)
