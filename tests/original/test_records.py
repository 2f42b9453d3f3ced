"""Records of an archive that are too short, damaged or foreign are named; nothing of them becomes weights."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bio_xlstm.errors import ModelError
from bio_xlstm.original.pickled import pickled_weights

SHARED = torch.arange(60.0)
WEIGHTS = {
    "a": torch.arange(30.0).view(5, 6),
    "b": torch.ones(7, dtype=torch.bfloat16),
    "c": torch.ones(3, dtype=torch.float64),
    # two tensors of one storage, the second without its beginning
    "d": SHARED,
    "e": SHARED[40:],
}


def saved(path: Path, content: object = WEIGHTS) -> Path:
    """Write a checkpoint."""
    torch.save(content, path)
    return path


def rebuilt(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Write the records of an archive anew, with the checksums of what they hold then."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(name, change(name, data))
    return path


def refusal(path: Path) -> str:
    """Return the one line that a file is refused with, without its path."""
    with pytest.raises(ModelError) as caught:
        pickled_weights(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize("protocol", (2, 3))
def test_whole_records_are_read(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    steps = {"step": torch.zeros(()), "none": torch.zeros(0), "bytes": torch.ones(5).untyped_storage()}
    torch.save({"state_dict": WEIGHTS, "optimizer_states": [steps]}, path, pickle_protocol=protocol)
    for file in (path, rebuilt(path, lambda name, data: data)):
        weights = pickled_weights(file)
        assert all(torch.equal(weights.read(name), tensor) for name, tensor in WEIGHTS.items())


@pytest.mark.parametrize(
    ("record", "cut", "said"),
    (
        (0, 4, "has 116 bytes where its tensor needs 120"),
        (0, 120, "has 0 bytes where its tensor needs 120"),
        (1, 1, "has 13 bytes where its tensor needs 14"),
        (2, 8, "has 16 bytes where its tensor needs 24"),
        (3, 8, "has 232 bytes where its tensor needs 240"),
    ),
)
def test_a_short_record_is_not_filled_with_what_follows(
    record: int, cut: int, said: str, tmp_path: Path
) -> None:
    short = f"weights/data/{record}"
    path = rebuilt(saved(tmp_path / "weights.pt"), lambda name, data: data[:-cut] if name == short else data)
    assert refusal(path) == f" is damaged: record '{short}' {said}"


@pytest.mark.parametrize(
    "record", ("weights/data.pkl", "weights/data/0", "weights/data/3", "weights/version")
)
def test_a_flipped_bit_is_noticed(record: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pt")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = data.index(archive.read(record), archive.getinfo(record).header_offset + 30 + len(record))
    data[start] ^= 1
    path.write_bytes(data)
    wanted = f" is damaged: record '{record}' holds other bytes than were written, as its checksum shows"
    assert refusal(path) == wanted


def test_a_record_that_does_not_begin_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pt")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        data[archive.getinfo("weights/data/1").header_offset] ^= 1
    path.write_bytes(data)
    # torch may notice it too
    said = (
        "record 'weights/data/1' cannot be opened",
        "it begins like a checkpoint, but what follows is none",
    )
    assert refusal(path).removeprefix(" is damaged: ") in said


def test_archives_without_checksums_are_read(tmp_path: Path) -> None:
    set_checksums = getattr(torch.serialization, "set_crc32_options", None)
    if set_checksums is None:
        pytest.skip("this torch always writes checksums")
    set_checksums(False)
    try:
        path = saved(tmp_path / "weights.pt")
    finally:
        set_checksums(True)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is not None
    assert torch.equal(pickled_weights(path).read("a"), WEIGHTS["a"])


def test_an_archive_behind_something_else_is_refused(tmp_path: Path) -> None:
    path, other = saved(tmp_path / "weights.pt"), saved(tmp_path / "other.pt", {"a": torch.zeros(5, 6)})
    path.write_bytes(other.read_bytes() + path.read_bytes())
    assert refusal(path) == " is damaged: something else stands before its archive"


def test_the_description_is_read_where_torch_reads_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pt")
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other/version", b"3")
        for name, data in records.items():
            archive.writestr(name, data)
    assert refusal(path) == " is not a checkpoint but a zip archive that holds other/version"


@pytest.mark.parametrize(
    "asked",
    (
        # what stands for a storage is no tuple of five
        b"X\x07\0\0\0storage\x85",
        b"(X\x07\0\0\0storageX\1\0\0\0fX\1\0\0\x000X\3\0\0\0cpuK\1t",
        b"(X\x07\0\0\0storagectorch\nnn\nX\1\0\0\x000X\3\0\0\0cpuK\1t",
        b"K\1",
        b"",
    ),
)
def test_another_way_to_ask_for_a_storage_is_refused(
    asked: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = b"\x80\x02" + asked + b"Q."
    path = rebuilt(
        saved(tmp_path / "weights.pt"), lambda name, data: pickled if name.endswith(".pkl") else data
    )
    # whatever torch makes of it
    monkeypatch.setattr("bio_xlstm.original.pickled._unpickled", lambda path: WEIGHTS)
    assert (
        refusal(path) == " is damaged: record 'weights/data.pkl' describes its tensors as torch.save does not"
    )


def test_storages_are_followed_through_the_memo(tmp_path: Path) -> None:
    # beyond 256 remembered objects the pickle refers to them in another way
    many = {f"w{number}": torch.full((number + 1,), float(number)) for number in range(300)}
    path = saved(tmp_path / "weights.pt", many)
    assert pickle.LONG_BINPUT in zipfile.ZipFile(path).read("weights/data.pkl")
    assert torch.equal(pickled_weights(path).read("w299"), many["w299"])
    short = "weights/data/299"
    rebuilt(path, lambda name, data: data[:-4] if name == short else data)
    assert refusal(path) == f" is damaged: record '{short}' has 1,196 bytes where its tensor needs 1,200"


def test_what_cannot_be_read_to_its_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "weights.pt")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("bio_xlstm.original.records._check_lengths", fail)
    assert refusal(path) == " cannot be read: Input/output error"
