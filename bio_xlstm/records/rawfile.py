"""The bytes of an input: compression by magic number, standard input, damage, fingerprint."""

import hashlib
import io
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bio_xlstm.errors import InputError

CHUNK = 1 << 20
COMPRESSED_STARTS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "lzma", b"BZh": "bz2"}
ARCHIVE_STARTS = {
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
}


class DamagedError(Exception):
    """A compressed stream ends too early or holds wrong bytes; all good bytes were handed over before."""


class RawFile:
    """A file that can be opened any number of times.

    Standard input ("-") and whatever else can be read only once (pipes, `<(command)`) is copied to a file first.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        self.path = self.name
        if self.name == "-":
            self.name = "standard input"
            self._keep(sys.stdin.buffer)
        elif is_stream(self.path):
            try:
                with open(self.path, "rb") as handle:
                    self._keep(handle)
            except OSError as error:
                raise InputError(f"{self.name}: {error.strerror}") from None
        self.compression = self._compression()

    def _keep(self, handle: BinaryIO) -> None:
        """Read from a copy of a stream, which goes when this object goes."""
        self.path = spool(handle)
        weakref.finalize(self, Path(self.path).unlink, missing_ok=True)

    def _compression(self) -> str | None:
        """Read the magic number; refuse what is no readable file."""
        if Path(self.path).is_dir():
            raise InputError(f"{self.name}: this is a folder, not a file")
        try:
            magic = self.start(6)
        except FileNotFoundError:
            raise InputError(f"{self.name}: there is no such file") from None
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror}") from None
        for start, what in ARCHIVE_STARTS.items():
            if magic.startswith(start):
                raise InputError(
                    f"{self.name}: the file is {what}; unpack it first (.gz, .xz, .bz2 need no unpacking)"
                )
        return next((name for start, name in COMPRESSED_STARTS.items() if magic.startswith(start)), None)

    def start(self, count: int) -> bytes:
        """Return the first `count` bytes as they are stored."""
        with open(self.path, "rb") as handle:
            return handle.read(count)

    def open(self) -> io.BufferedIOBase:
        """Open the decompressed bytes."""
        if self.compression == "gzip":
            import gzip

            return gzip.GzipFile(self.path)
        if self.compression == "lzma":
            import lzma

            return lzma.LZMAFile(self.path)
        if self.compression == "bz2":
            import bz2

            return bz2.BZ2File(self.path)
        return open(self.path, "rb")

    def fingerprint(self) -> str:
        """Return the sha256 of the bytes as they are stored (compressed ones stay compressed)."""
        with open(self.path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()


def is_stream(path: str) -> bool:
    """Say whether a path exists and is neither a regular file nor a folder."""
    return Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir()


def spool(stream: BinaryIO) -> str:
    """Copy a stream to a temporary file and return its path."""
    with tempfile.NamedTemporaryFile(prefix="bioxlstm-input-", delete=False) as handle:
        shutil.copyfileobj(stream, handle, CHUNK)
    return handle.name


def chunks(handle: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the bytes in pieces of about `CHUNK`; raise DamagedError after the last good byte of a stream."""
    from lzma import LZMAError
    from zlib import error as ZlibError

    parts: list[bytes] = []
    size = 0
    damage: Exception | None = None
    while True:
        try:
            # read1 hands over what was decompressed before a cut; read would lose it
            part = handle.read1(CHUNK)
        except (EOFError, OSError, LZMAError, ZlibError) as error:
            damage, part = error, b""
        parts.append(part)
        size += len(part)
        if size >= CHUNK or not part:
            yield b"".join(parts)
            parts, size = [], 0
        if not part:
            break
    if damage is not None:
        raise DamagedError(str(damage))
