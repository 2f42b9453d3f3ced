"""Files that are no checkpoints are called by their kind, told by their bytes alone."""

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest

from bio_xlstm.original.foreign import is_pickle, kind_of, names_asked_for

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize(
    ("data", "kind"),
    (
        (b"", "an empty file"),
        (b"\0", "a single byte"),
        (b"hello", "a file of 5 bytes"),
        (b"To whom it may concern: \xc3\xa9", "text"),
        (b"a" * 999 + "\u00e9".encode() * 20, "text"),
        (b"To whom it may concern: \0", "data of an unknown kind"),
        (b"To whom it may concern: \xff", "data of an unknown kind"),
        (POINTER, "a Git LFS pointer, in place of the file that `git lfs pull` fetches"),
        (b"\n<!DOCTYPE html><html></html>", "a web page, as a download that failed leaves"),
        (b"\x1f\x8b" + bytes(20), "a gzip file: unpack it first"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file"),
        (b"PK\x03\x04" + bytes(20), "a zip archive"),
        (b"\x02\0\0\0\0\0\0\0{}" + bytes(20), "a safetensors file, whose name must end in .safetensors"),
        (pickle.dumps("as long as it must be"), "a plain pickle"),
        (pickle.dumps("as long as it must be", 0), "a plain pickle"),
    ),
)
def test_kinds(data: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert kind_of(path) == kind


@pytest.mark.parametrize("protocol", range(6))
def test_what_pickles_would_import_is_read_off_them(protocol: int) -> None:
    one, other = pickle.dumps(OrderedDict(a=1), protocol), pickle.dumps([1, "text"], protocol)
    assert names_asked_for(one) == ("collections.OrderedDict",) and names_asked_for(other) == ()
    assert names_asked_for(other + one + one) == ("collections.OrderedDict",) * 2
    assert is_pickle(one) and names_asked_for(one[:-1]) == ("collections.OrderedDict",)


def test_pickles_without_end_are_not_read_for_ever() -> None:
    assert names_asked_for(b"N." * 2_000_000) == () and not is_pickle(b"hello world, this is text")
