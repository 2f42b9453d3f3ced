"""What a file is that is no checkpoint: told by its bytes, of which none is run."""

import pickletools
import re
import struct
from pathlib import Path

# no more than this is looked at: what a pickle asks for stands before its numbers
_LOOKED_AT = 1 << 22
# no checkpoint and no pickle that asks for anything has fewer bytes
_SHORTEST = 16
# torch.save writes five pickles in a row where it makes no archive
_PICKLES = 8
_PICKLE = re.compile(rb"\x80[\x00-\x05]")
_WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html|<\?xml)", re.IGNORECASE)
_BEGINNINGS = {
    b"version https://git-lfs": "a Git LFS pointer, in place of the file that `git lfs pull` fetches",
    b"\x1f\x8b": "a gzip file: unpack it first",
    b"BZh": "a bzip2 file: unpack it first",
    b"\xfd7zXZ\0": "an xz file: unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd file: unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip archive",
}


def kind_of(path: Path) -> str:
    """Name what a file is that is no checkpoint, with its article; OSError where it cannot be read.

    >>> kind_of(Path(__file__))
    'text'
    """
    start = beginning(path)
    if len(start) < _SHORTEST:
        return {0: "an empty file", 1: "a single byte"}.get(len(start), f"a file of {len(start)} bytes")
    known = next((kind for mark, kind in _BEGINNINGS.items() if start.startswith(mark)), None)
    if known:
        return known
    if _WEB_PAGE.match(start):
        return "a web page, as a download that failed leaves"
    if looks_like_safetensors(start):
        return "a safetensors file, whose name must end in .safetensors"
    if is_pickle(start):
        return "a plain pickle"
    return "text" if _is_text(start) else "data of an unknown kind"


def beginning(path: Path) -> bytes:
    """Return the first bytes of a file; OSError where it cannot be read."""
    with path.open("rb") as file:
        return file.read(_LOOKED_AT)


def is_pickle(start: bytes) -> bool:
    """Say whether bytes are a pickle: they begin like one, or are whole as one of the oldest kind."""
    return bool(_PICKLE.match(start)) or _instructions(start)[1]


def names_asked_for(start: bytes) -> tuple[str, ...]:
    """Return the names that pickles in a row, one or several, would import."""
    names: list[str] = []
    rest = start
    for _ in range(_PICKLES):
        found, whole, length = _instructions(rest)
        names += found
        if not whole:
            break
        rest = rest[length:]
    return tuple(names)


def looks_like_safetensors(start: bytes) -> bool:
    """Say whether bytes begin as a safetensors file does: the length of a header, and its bracket."""
    return has_header(start) and struct.unpack("<Q", start[:8])[0] < 1 << 40


def has_header(start: bytes) -> bool:
    """Say whether the header of a safetensors file stands in its place, whatever its length is said to be."""
    return start[8:9] == b"{"


def _instructions(pickled: bytes) -> tuple[list[str], bool, int]:
    """Read the instructions of one pickle: the names it imports, whether it came to its end, and its length."""
    names: list[str] = []
    texts: list[str] = []
    try:
        for code, argument, place in pickletools.genops(pickled):
            if code.name in ("GLOBAL", "INST"):
                names.append(str(argument).replace(" ", "."))
            elif code.name == "STACK_GLOBAL":
                names.append(".".join(texts[-2:]))
            elif isinstance(argument, str):
                texts.append(argument)
            elif code.name == "STOP":
                return names, True, (place or 0) + 1
    except (ValueError, UnicodeDecodeError, OverflowError, IndexError, struct.error):
        pass  # the rest is no pickle
    return names, False, 0


def _is_text(start: bytes) -> bool:
    try:
        # the last character may have been cut
        text = start[:1000].decode("utf-8", "ignore" if len(start) > 1000 else "strict")
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)
