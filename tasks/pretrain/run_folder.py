"""The folder of a run: what lies where, whose it is, and where to go on."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.models.directory import CONFIG, WEIGHTS
from bio_xlstm.tasks.pretrain.settings import Recipe

LAST, BEST, IDENTITY, LOG, CURVES = "last.ckpt", "best.ckpt", "identity.json", "log", "curves.png"


@dataclass(frozen=True)
class RunFolder:
    """Name the files of a run under the model directory that it will become."""

    output: Path
    fresh: bool = False
    """Whether whatever an earlier run left does not count."""

    @property
    def path(self) -> Path:
        """Return the folder of checkpoints, log and prepared data."""
        return self.output / "training"

    @property
    def last(self) -> Path:
        """Return the checkpoint to go on from."""
        return self.path / LAST

    @property
    def best(self) -> Path:
        """Return the checkpoint with the lowest held-out loss."""
        return self.path / BEST

    @property
    def log(self) -> Path:
        """Return the folder of the log."""
        return self.path / LOG

    @property
    def curves(self) -> Path:
        """Return the picture of the curves."""
        return self.path / CURVES

    @property
    def checkpoint(self) -> Path | None:
        """Return the checkpoint to begin from, if there is one."""
        return self.last if not self.fresh and self.last.exists() else None


def open_run(recipe: Recipe, output: Path, *, resume: bool, overwrite: bool, first: bool = True) -> RunFolder:
    """Make the folder of a run; refuse a finished model, and a run of another recipe.

    Of several processes only the `first` changes anything, and the others do not look at what it removes.
    """
    folder = RunFolder(output, fresh=overwrite)
    if first:
        _check_others(folder)
        if overwrite:
            _remove(folder)
    if not overwrite:
        _check_run(recipe, folder, resume)
    make_folder(folder.path)
    if first:
        (folder.path / IDENTITY).write_text(json.dumps(_identity(recipe)))
    return folder


def make_folder(path: Path) -> None:
    """Make a folder and those above it; OutputError where something else has its name."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {path} cannot be made: {error.strerror}") from None


def _check_others(folder: RunFolder) -> None:
    """Refuse a folder that holds something else."""
    output = folder.output
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file; a model is written as a folder")
    if (
        output.is_dir()
        and any(output.iterdir())
        and not (folder.path.is_dir() or (output / CONFIG).is_file())
    ):
        raise OutputError(f"{output} holds files but neither a model nor a run; give the output another name")


def _check_run(recipe: Recipe, folder: RunFolder, resume: bool) -> None:
    """Refuse a finished model, a run that is not to be continued, and a run of another recipe."""
    if (folder.output / WEIGHTS).exists():
        raise OutputError(f"{folder.output} already holds a finished model; use --overwrite to train it anew")
    if not folder.last.exists():
        return
    if not resume:
        raise OutputError(
            f"{folder.last} is left from an earlier run; use --resume to continue it or --overwrite"
        )
    try:
        known = json.loads((folder.path / IDENTITY).read_text())
    except (OSError, ValueError):
        known = None
    if known != _identity(recipe):
        raise ConfigError(
            f"{folder.path} was begun with another recipe (model, data, seed or batch_tokens differ); "
            "use --overwrite to begin again"
        )


def _remove(folder: RunFolder) -> None:
    """Remove what an earlier run left, but for the prepared data, which are named for what they were made of."""
    shutil.rmtree(folder.log, ignore_errors=True)
    for path in (folder.last, folder.best, folder.curves, folder.output / WEIGHTS):
        path.unlink(missing_ok=True)


def _identity(recipe: Recipe) -> dict[str, str]:
    return {"recipe": recipe.name, "identity": recipe.identity()}
