"""Find out which program wrote a checkpoint, and which files belong to it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bio_xlstm.errors import ModelError
from bio_xlstm.models.directory import CONFIG
from bio_xlstm.original import chem, dna, large, protein
from bio_xlstm.original.original import Choices, Original
from bio_xlstm.original.settings import Settings, read_json
from bio_xlstm.original.shards import shards_in

_PICKLES = ("pytorch_model.bin", "pytorch_model.pt")
_CHEM_WEIGHTS = "model.pt"
# DNA-xLSTM keeps its checkpoints up to so many folders below model_config.json
_DEPTH = 3
_SETTINGS = (dna.SETTINGS, chem.SETTINGS, large.SETTINGS, CONFIG)
_HELP = "bioxlstm models convert --help lists the formats"


def locate(source: Path) -> Callable[[Choices], Original]:
    """Return what reads a checkpoint: a folder, or its file of weights; ModelError where it is none that is known."""
    if not source.exists():
        raise ModelError(f"{source}: no such file or folder")
    if source.is_file():
        return _of_file(source)
    if not source.is_dir():
        raise ModelError(f"{source} is neither a file nor a folder")
    if (source / dna.SETTINGS).is_file():
        return partial(dna.read, _only_checkpoint(source), source / dna.SETTINGS)
    if (source / chem.SETTINGS).is_file():
        return partial(chem.read, _existing(source / _CHEM_WEIGHTS), source / chem.SETTINGS)
    if (source / large.SETTINGS).is_file():
        return partial(large.read, _weights_in(source), source / large.SETTINGS)
    if (source / CONFIG).is_file():
        return _by_config(source, _weights_in(source))
    raise ModelError(f"{source} holds none of {', '.join(_SETTINGS)}: {_HELP}")


def _of_file(path: Path) -> Callable[[Choices], Original]:
    """Read one file of weights with the settings that lie beside it or, for a Lightning checkpoint, above it."""
    folders = [path.absolute().parent]
    while len(folders) < _DEPTH + 1 and folders[-1] != folders[-1].parent:
        folders.append(folders[-1].parent)
    if path.suffix == ".ckpt":
        folder = next((one for one in folders if (one / dna.SETTINGS).is_file()), None)
        if folder is None:
            raise ModelError(f"{path}: there is no {dna.SETTINGS} beside it or above it")
        return partial(dna.read, path, folder / dna.SETTINGS)
    folder = path.parent
    if (folder / chem.SETTINGS).is_file():
        return partial(chem.read, path, folder / chem.SETTINGS)
    if (folder / large.SETTINGS).is_file():
        return partial(large.read, (path,), folder / large.SETTINGS)
    if (folder / CONFIG).is_file():
        return _by_config(folder, (path,))
    raise ModelError(f"{path} has none of {', '.join(_SETTINGS[1:])} beside it: {_HELP}")


def _by_config(folder: Path, weights: tuple[Path, ...]) -> Callable[[Choices], Original]:
    """Tell Prot-xLSTM from the Hugging Face layout of xLSTM-7b: both call their settings config.json."""
    settings = read_json(folder / CONFIG)
    if "format" in settings and "family" in settings:
        raise ModelError(f"{folder} is a model of bio_xlstm already")
    if "mlstm_block" in settings:
        return partial(protein.read, weights, folder / CONFIG)
    if _is_large(settings):
        return partial(large.read, weights, folder / CONFIG)
    raise ModelError(f"{folder / CONFIG} describes neither Prot-xLSTM nor xLSTM-7b: {_HELP}")


def _is_large(settings: Settings) -> bool:
    return settings.values.get("model_type") == "xlstm" or "qk_dim_factor" in settings


def _only_checkpoint(folder: Path) -> Path:
    """Return the one Lightning checkpoint in a folder or its `checkpoints`; ModelError names several."""
    found = _files(folder, "*.ckpt") or _files(folder / "checkpoints", "**/*.ckpt")
    if len(found) == 1:
        return found[0]
    if not found:
        raise ModelError(f"{folder} holds a {dna.SETTINGS} but no .ckpt file")
    names = ", ".join(str(path.relative_to(folder)) for path in found[:5])
    raise ModelError(f"{folder} holds {len(found)} checkpoints ({names}): name one of them")


def _files(folder: Path, pattern: str) -> list[Path]:
    """Return the files in a folder that match: a pipe of that name would be waited on for ever."""
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def _weights_in(folder: Path) -> tuple[Path, ...]:
    """Return the files of weights in a folder, safetensors before pickles."""
    found = shards_in(folder) or tuple(folder / name for name in _PICKLES if (folder / name).is_file())[:1]
    if not found:
        raise ModelError(f"{folder} holds settings but no weights (model.safetensors or {_PICKLES[0]})")
    return found


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"{path.parent} lacks {path.name}")
    return path
