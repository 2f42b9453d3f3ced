"""The records of an archive that torch.save wrote: each must be as long as its tensors need, and undamaged.

torch takes the lengths from the pickle and looks at no checksum, so a damaged archive would become a wrong model.
"""

import pickletools
import struct
import zipfile
from collections import deque
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import torch

from bio_xlstm.errors import ModelError

_CHUNK = 1 << 20
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")
# what a pickle calls bytes without a number format
_UNTYPED = "torch.storage UntypedStorage"


class _Storage(NamedTuple):
    """Say which record holds the numbers of tensors, and how many bytes they are."""

    key: str
    size: int


def pickle_in(archive: zipfile.ZipFile) -> str | None:
    """Return the record that describes the tensors, in the folder where torch looks for it."""
    names = archive.namelist()
    pickled = f"{names[0].partition('/')[0]}/data.pkl" if names else ""
    return pickled if pickled in names else None


def read_record(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a record; ModelError where its bytes do not have its checksum."""
    return b"".join(_chunks(path, archive, archive.getinfo(name)))


def check_records(path: Path) -> None:
    """Refuse an archive whose records are not whole; ModelError names the first of them."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_lengths(path, archive)
            for entry in archive.infolist():
                deque(_chunks(path, archive, entry), maxlen=0)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None


def _check_lengths(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse records that are shorter than the tensors in them."""
    pickled = pickle_in(archive)
    assert pickled is not None
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    described = read_record(path, archive, pickled)
    try:
        storages = list(_storages(described))
    except (ValueError, OverflowError, IndexError, struct.error) as error:
        raise _damaged(path, pickled, "describes its tensors as torch.save does not") from error
    for key, size in storages:
        record = f"{pickled.removesuffix('.pkl')}/{key}"
        if (held := sizes.get(record, 0)) < size:
            raise _damaged(path, record, f"has {held:,} bytes where its tensor needs {size:,}")


def _chunks(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the bytes of a record; ModelError where it cannot be opened, or they do not have its checksum."""
    entry = copy(entry)
    if not entry.CRC:
        # torch.save can be told to compute no checksums; zipfile asks for none where none is stated
        del entry.CRC
    try:
        stream = archive.open(entry)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, entry.filename, "cannot be opened") from error
    with stream:
        try:
            while chunk := stream.read(_CHUNK):
                yield chunk
        except (zipfile.BadZipFile, EOFError) as error:
            reason = "holds other bytes than were written, as its checksum shows"
            raise _damaged(path, entry.filename, reason) from error


def _storages(pickled: bytes) -> Iterator[_Storage]:
    """Yield the storages that a pickle asks for; ValueError where it asks in another way than torch.save does."""
    memo: dict[Any, Any] = {}
    # what is known of the top of the stack
    top: list[Any] = []
    for code, argument, _ in pickletools.genops(pickled):
        if code.name in _PUTS:
            memo[argument] = top[-1] if top else None
        elif code.name in _GETS:
            top.append(memo.get(argument))
        elif code.name == "TUPLE":
            top = [tuple(top)]
        elif code.name == "BINPERSID":
            yield _storage(top[-1] if top else None)
            top = []
        elif argument is not None and code.stack_after and not code.stack_before:
            top.append(argument)
        else:
            top = []


def _storage(asked: Any) -> _Storage:
    """Read what stands for a storage: a word, its class, its record, its device and how many numbers it has."""
    match asked:
        case ("storage", str(kind), str(key), _, int(count)):
            return _Storage(key, count * _width(kind))
    raise ValueError("no storage is asked for so")


def _width(kind: str) -> int:
    """Return the bytes that a number takes in a class of storages."""
    if kind == _UNTYPED:
        return 1
    with catch_warnings():
        simplefilter("ignore")  # torch means to give these classes up
        dtype = getattr(getattr(torch, kind.removeprefix("torch "), None), "dtype", None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{kind!r} is no class of storages")
    return dtype.itemsize


def _damaged(path: Path, record: str, reason: str) -> ModelError:
    return ModelError(f"{path} is damaged: record {record[:60]!r} {reason}")
