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
from bio_xlstm.original.foreign import beginning, is_pickle, kind_of, names_asked_for
from bio_xlstm.original.records import check_records, pickle_in, read_record
from bio_xlstm.original.weights import Weights

# libraries whose objects lie about in checkpoints of the original programs and mean nothing to the weights
_LIBRARIES = ("omegaconf", "pytorch_lightning", "lightning", "lightning_fabric", "numpy", "pathlib", "typing")
_NAMES = frozenset(
    (
        *("collections.defaultdict", "argparse.Namespace", "builtins.object"),
        *(f"builtins.{name}" for name in ("int", "float", "str", "bool", "bytes", "list", "dict", "tuple")),
    )
)
# how torch calls what it would not import
_REFUSED = re.compile(r"(?:GLOBAL|global) ([\w.]+)")
# the number that torch.save begins with where it writes no archive
_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# every pickle begins with its protocol; torch's restricted reader takes no later one
_PROTOCOL, _LAST_PROTOCOL, _MARK = 0x80, 3, 2
# what an archive of torch.save begins with
_ZIP = b"PK\x03\x04"
# the number stands within so many bytes, whatever the protocol
_HEAD = 32
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
    if zipfile.is_zipfile(path):
        check_records(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
    return Weights((path,), shapes, dtypes, tensors.__getitem__, {name: name for name in tensors})


def _unpickled(path: Path) -> Any:
    """Load a pickle with nothing but tensors and plain data in it."""
    try:
        start = beginning(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    zipped = zipfile.is_zipfile(path)
    start = _check_archive(path) if zipped else _check_start(path, start)
    _check_protocol(path, start)
    stand_ins = _stand_ins(path, start) if zipped else []
    with torch.serialization.safe_globals(stand_ins) if stand_ins else nullcontext(), catch_warnings():
        simplefilter("ignore")  # about protocols and storages that concern nobody who converts a file
        try:
            # mapped, so that a checkpoint larger than the memory can be converted
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        except Exception as error:  # a damaged file makes torch raise nearly anything
            raise _unreadable(path, start, error) from error


def _check_start(path: Path, start: bytes) -> bytes:
    """Return the pickles that a file of the old format begins with; ModelError says what another file is."""
    if start.startswith(_ZIP):
        raise _cut_off(path)
    if _MAGIC in start[:_HEAD]:
        return start
    names = names_asked_for(start) if is_pickle(start) else ()
    if names:
        raise ModelError(
            f"{path} is no checkpoint of torch.save but a pickle that asks for code to be run ({names[0]}): "
            "it was refused, and nothing in it was executed"
        )
    raise ModelError(f"{path} is not a checkpoint but {kind_of(path)}")


def _check_archive(path: Path) -> bytes:
    """Return how the pickle in an archive begins; ModelError where it would grow, or torch.save did not write it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if packed or sum(entry.file_size for entry in entries) > os.path.getsize(path):
                raise ModelError(f"{path} is a compressed archive, not a checkpoint that torch.save wrote")
            # zipfile would read the records where they are, torch where they were written
            if entries and min(entry.header_offset for entry in entries) > 0:
                raise ModelError(f"{path} is damaged: something else stands before its archive")
            pickled = pickle_in(archive)
            if pickled is None:
                held = entries[0].filename[:60] if entries else "nothing"
                raise ModelError(f"{path} is not a checkpoint but a zip archive that holds {held}")
            return read_record(path, archive, pickled)[:_MARK]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path} is damaged: its archive cannot be opened") from error


def _check_protocol(path: Path, pickled: bytes) -> None:
    """Refuse pickles of later protocols, of which torch's restricted reader knows no instruction."""
    if len(pickled) >= _MARK and pickled[0] == _PROTOCOL and pickled[1] > _LAST_PROTOCOL:
        raise ModelError(
            f"{path} was saved with pickle protocol {pickled[1]}, which torch's restricted reader does not take; "
            "nothing in it was executed. Whoever made it can save it again without pickle_protocol"
        )


def _stand_ins(path: Path, pickled: bytes) -> list[Any]:
    """Return stand-ins for the objects that a pickle names; ModelError names one that has no place in a checkpoint."""
    find = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)
    if find is None:  # torch before 2.6 refuses such checkpoints
        return []
    try:
        names = sorted(find(path))
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise _unreadable(path, pickled, error) from error
    for name in names:
        if name not in _NAMES and name.partition(".")[0] not in _LIBRARIES:
            raise _hostile(path, name)
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


def _hostile(path: Path, name: str) -> ModelError:
    """Name what a file asks for and must not have."""
    return ModelError(
        f"{path} asks for {name}, which has no place in a checkpoint: it was refused, and nothing in it was executed"
    )


def _unreadable(path: Path, pickled: bytes, error: BaseException) -> ModelError:
    """Say in one line why a file that begins like a checkpoint cannot be read."""
    asked = _REFUSED.search(str(error))
    # a name that is not whole was cut off with the file
    if asked and asked[1] in names_asked_for(pickled):
        return _hostile(path, asked[1])
    said = str(error)
    if isinstance(error, MemoryError) or "memory" in said:
        return ModelError(f"{path} cannot be read: there is not enough memory for it")
    if isinstance(error, OSError):
        return ModelError(f"{path} cannot be read: {error.strerror or said}")
    if isinstance(error, EOFError) or "EOF" in said:
        return _cut_off(path)
    return ModelError(f"{path} is damaged: it begins like a checkpoint, but what follows is none")


def _cut_off(path: Path) -> ModelError:
    return ModelError(f"{path} is damaged: the file is cut off, its end is missing")
