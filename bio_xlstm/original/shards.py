"""Tensors of safetensors files, one or several."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bio_xlstm.errors import ModelError
from bio_xlstm.original.foreign import beginning, has_header, kind_of
from bio_xlstm.original.settings import read_json
from bio_xlstm.original.weights import Shape, Weights

# what the header calls number formats; the others are no weights
_FORMATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def shards_in(folder: Path) -> tuple[Path, ...]:
    """Find the safetensors files of a model in a folder; ModelError names one that an index lists and that is missing.

    They are one file, numbered files model_0, model_1 and so on, or the files that an index names.
    """
    if (folder / WHOLE).is_file():
        return (folder / WHOLE,)
    if (folder / INDEX).is_file():
        return _indexed(folder)
    found: list[Path] = []
    while (shard := folder / f"model_{len(found)}.safetensors").is_file():
        found.append(shard)
    return tuple(found)


def _indexed(folder: Path) -> tuple[Path, ...]:
    """Return the files that an index names, which lie beside it."""
    names = read_json(folder / INDEX).section("weight_map").values.values()
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise ModelError(f"{folder / INDEX}: weight_map must name files beside it")
    found = tuple(folder / name for name in sorted(set(names)))
    for path in found:
        if not path.is_file():
            raise ModelError(f"{folder / INDEX} names {path.name}, which is missing")
    return found


def safetensors_weights(files: Sequence[Path]) -> Weights:
    """Read the tensors of safetensors files; ModelError names one that is damaged, and tensors that come twice."""
    shapes: dict[str, Shape] = {}
    dtypes: dict[str, torch.dtype] = {}
    home: dict[str, Path] = {}
    for path in files:
        for name, shape, dtype in _header(path):
            if name in home:
                raise ModelError(f"{path} holds {name}, which {home[name].name} holds too")
            shapes[name], dtypes[name], home[name] = shape, dtype, path

    def read(name: str) -> Tensor:
        """Read one tensor."""
        with safe_open(str(home[name]), framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor

    return Weights(tuple(files), shapes, dtypes, read, {name: name for name in shapes})


def _header(path: Path) -> list[tuple[str, Shape, torch.dtype]]:
    """Return names, shapes and number formats in a file."""
    try:
        with safe_open(str(path), framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            formats = {name: (tuple(one.get_shape()), one.get_dtype()) for name, one in slices.items()}
    except (SafetensorError, OSError) as error:
        raise _unreadable(path) from error
    return [(name, shape, _FORMATS.get(form, torch.int64)) for name, (shape, form) in formats.items()]


def _unreadable(path: Path) -> ModelError:
    """Say in one line why a file cannot be read."""
    try:
        if has_header(beginning(path)):
            return ModelError(
                f"{path} is a damaged safetensors file: its header does not fit what follows, as where it is cut off"
            )
        return ModelError(f"{path} is not a checkpoint but {kind_of(path)}")
    except OSError as error:
        return ModelError(f"{path} cannot be read: {error.strerror}")
