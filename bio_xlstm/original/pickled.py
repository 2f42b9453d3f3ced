"""Tensors of a pickled checkpoint: read by torch's restricted reader, which runs nothing that the file names.

Training programs pickle their settings beside the weights, as objects of their own libraries. Inert stand-ins take the
place of those; a file that names anything else is refused.
"""

import os
import re
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor

from bio_xlstm.errors import ModelError
from bio_xlstm.original.weights import Weights

# libraries whose objects lie about in checkpoints of the original programs and mean nothing to the weights
_LIBRARIES = ("omegaconf", "pytorch_lightning", "lightning", "lightning_fabric", "numpy", "pathlib", "typing")
_NAMES = frozenset(
    (
        *("collections.defaultdict", "argparse.Namespace", "builtins.object"),
        *(f"builtins.{name}" for name in ("int", "float", "str", "bool", "bytes", "list", "dict", "tuple")),
    )
)
# what torch says before it comes to the point
_PREAMBLE = re.compile(r"^\[enforce fail at [^]]*\]\s*\.?\s*|^.*WeightsUnpickler error:\s*", re.DOTALL)
_ADVICE = "Weights only load failed"
# what an archive of torch.save begins with
_ZIP = b"PK\x03\x04"
# these are filled item by item like the dictionaries they are
_MAPPINGS = ("defaultdict", "AttributeDict")


class _StandIn:
    """Take the place of an object that is not needed, whatever it is made from."""

    def __new__(cls, *arguments: Any) -> "_StandIn":
        return super().__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _MappingStandIn:
    """Take the place of a dictionary of another library."""

    def __new__(cls, *arguments: Any) -> Any:
        return {}


def pickled_weights(path: Path) -> Weights:
    """Read the tensors of a file that torch.save wrote; ModelError says in one line why it cannot be read."""
    tensors = _state_dict(_unpickled(path), path)
    for name, tensor in tensors.items():
        _check_tensor(path, name, tensor)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
    return Weights((path,), shapes, dtypes, tensors.__getitem__, {name: name for name in tensors})


def _unpickled(path: Path) -> Any:
    """Load a pickle with nothing but tensors and plain data in it."""
    zipped = zipfile.is_zipfile(path)
    _check_end(path, zipped)
    if zipped:
        _check_archive(path)
    stand_ins = _stand_ins(path) if zipped else []
    with torch.serialization.safe_globals(stand_ins) if stand_ins else nullcontext(), catch_warnings():
        simplefilter("ignore")  # about protocols and storages that concern nobody who converts a file
        try:
            # mapped, so that a checkpoint larger than the memory can be converted
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        except Exception as error:  # a damaged file makes torch raise nearly anything
            raise _unreadable(path, error) from None


def _check_end(path: Path, zipped: bool) -> None:
    """Refuse what a download or a copy that broke off leaves, of which torch only says that it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP))
    except OSError as error:
        raise _unreadable(path, error) from None
    if not start:
        raise _unreadable(path, EOFError("the file is empty"))
    if start == _ZIP and not zipped:
        raise _unreadable(path, EOFError("the file is cut off, its end is missing"))


def _check_archive(path: Path) -> None:
    """Refuse an archive that would grow when it is opened, which torch.save never writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > os.path.getsize(path):
        raise ModelError(f"{path} is a compressed archive, not a checkpoint that torch.save wrote")


def _stand_ins(path: Path) -> list[Any]:
    """Return stand-ins for the objects that a pickle names; ModelError names one that has no place in a checkpoint."""
    find = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)
    if find is None:  # torch before 2.6 refuses such checkpoints
        return []
    try:
        names = sorted(find(path))
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise _unreadable(path, error) from None
    for name in names:
        if name not in _NAMES and name.partition(".")[0] not in _LIBRARIES:
            raise ModelError(f"{path} names {name}, which has no place in a checkpoint; nothing was run")
    return [(_stand_in(name), name) for name in names]


def _stand_in(name: str) -> type[Any]:
    """Make a stand-in of its own for a name: torch tells them apart by identity."""
    mapping = name.endswith(_MAPPINGS)
    return type("StandIn", (_MappingStandIn if mapping else _StandIn,), {})


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """Find the parameters in what was pickled: a state dict, or Lightning's checkpoint around one."""
    found = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(found, dict) or not found:
        empty = "an empty dict" if isinstance(found, dict) else _kind(found)
        raise ModelError(f"{path} holds no state dict but {empty}")
    for name, value in found.items():
        if not isinstance(name, str):
            raise ModelError(f"{path} holds no state dict: {_kind(name)} is no name of a parameter")
        if not isinstance(value, Tensor):
            raise ModelError(f"{path} holds no state dict: {name[:60]!r} is {_kind(value)}, not a tensor")
    return found


def _check_tensor(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse a tensor without the numbers that its shape promises."""
    plain = type(tensor) in (Tensor, torch.nn.Parameter) and tensor.layout == torch.strided
    if not plain or tensor.device.type != "cpu" or tensor.is_quantized:
        raise ModelError(f"{path}: {name} is not a plain tensor")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelError(f"{path}: {name} claims {tensor.numel():,} numbers, more than the file holds")


def _kind(value: Any) -> str:
    """Name the type of a value, with its article."""
    name = type(value).__name__
    return f"a{'n' * (name[:1].lower() in tuple('aeiou'))} {name}"


def _unreadable(path: Path, error: BaseException) -> ModelError:
    """Say in one line why a file cannot be read."""
    text = _PREAMBLE.sub("", str(error))
    lines = (line.strip() for line in text.splitlines() if not line.startswith(_ADVICE))
    reason = next((line for line in lines if line), "").split(". ")[0][:200]
    # a number or a name alone says nothing to anybody
    told = reason if " " in reason else f"{type(error).__name__} {reason}".strip()
    return ModelError(f"{path} is damaged, or torch.save did not write it: {told}")
