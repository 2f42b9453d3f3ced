"""Pickles are read without running anything in them; whatever else lies in a file is refused in one line."""

import os
import pickle
import random
import re
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

from bio_xlstm.errors import ModelError
from bio_xlstm.original.pickled import pickled_weights

WEIGHTS = OrderedDict(a=torch.arange(6.0).view(2, 3), b=torch.ones(2, dtype=torch.bfloat16))


class Attack:
    """Run a command when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def refusal(path: Path) -> str:
    """Return the one line that a file is refused with, without its path."""
    with pytest.raises(ModelError) as caught:
        pickled_weights(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize("zipped", (True, False))
@pytest.mark.parametrize("content", (WEIGHTS, {"epoch": 1, "state_dict": WEIGHTS, "callbacks": {"x": [1]}}))
def test_state_dicts_and_checkpoints_around_them_are_read(content: Any, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    weights = pickled_weights(path)
    assert weights.shapes == {"a": (2, 3), "b": (2,)} and weights.label == str(path)
    assert weights.dtypes == {"a": torch.float32, "b": torch.bfloat16}
    assert torch.equal(weights.read("a"), WEIGHTS["a"])


@pytest.mark.parametrize("zipped", (True, False))
@pytest.mark.parametrize("place", ("beside", "inside"))
def test_commands_are_not_run(place: str, zipped: bool, tmp_path: Path) -> None:
    attack = Attack(tmp_path / "trace")
    content = {"state_dict": WEIGHTS, "x": attack} if place == "beside" else {"a": attack}
    path = tmp_path / "weights.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    wanted = (
        " asks for posix.system, which has no place in a checkpoint: it was refused, and nothing in it was"
    )
    assert refusal(path) == wanted + " executed"
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_command_in_a_plain_pickle_is_not_run(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    path.write_bytes(pickle.dumps({"a": Attack(tmp_path / "trace")}, protocol=protocol))
    wanted = (
        " is no checkpoint of torch.save but a pickle that asks for code to be run (posix.system): "
        "it was refused, and nothing in it was executed"
    )
    assert refusal(path) == wanted and not (tmp_path / "trace").exists()


@pytest.mark.parametrize("zipped", (True, False))
def test_later_protocols_are_named(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    torch.save(WEIGHTS, path, pickle_protocol=4, _use_new_zipfile_serialization=zipped)
    wanted = (
        " was saved with pickle protocol 4, which torch's restricted reader does not take; nothing in it was "
        "executed. Whoever made it can save it again without pickle_protocol"
    )
    assert refusal(path) == wanted
    torch.save(WEIGHTS, path, pickle_protocol=3, _use_new_zipfile_serialization=zipped)
    assert list(pickled_weights(path).shapes) == ["a", "b"]


def foreign(monkeypatch: pytest.MonkeyPatch, path: str, base: type) -> type:
    """Make a class of another library, which is there when a checkpoint is written."""
    module, _, name = path.rpartition(".")
    kind = type(name, (base,), {"__module__": module, "__setstate__": lambda self, state: 1 / 0})
    names = module.split(".")
    for depth in range(1, len(names) + 1):
        home = types.ModuleType(".".join(names[:depth]))
        monkeypatch.setitem(sys.modules, home.__name__, home)
    setattr(home, name, kind)
    return kind


def test_objects_of_training_libraries_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = foreign(monkeypatch, "omegaconf.dictconfig.DictConfig", object)()
    inner.content = {"dim": 3, "kind": dict, "more": defaultdict(list, a=[1])}
    settings = foreign(monkeypatch, "pytorch_lightning.utilities.parsing.AttributeDict", dict)(model=inner)
    path, known = tmp_path / "last.ckpt", set(torch.serialization.get_safe_globals())
    torch.save({"state_dict": WEIGHTS, "hyper_parameters": settings, "folder": Path("x")}, path)
    assert list(pickled_weights(path).shapes) == ["a", "b"]
    assert set(torch.serialization.get_safe_globals()) == known


@pytest.mark.parametrize(
    ("content", "message"),
    (
        ([1, 2], " holds no state dict but a list"),
        (torch.zeros(3), " holds no state dict but a Tensor"),
        ({}, " holds no state dict but an empty dict"),
        ({"state_dict": {}}, " holds no state dict but an empty dict"),
        ({"state_dict": 3}, " holds no state dict but an int"),
        ({"a": 1}, " holds no state dict: 'a' is an int, not a tensor"),
        ({"a": WEIGHTS}, " holds no state dict: 'a' is an OrderedDict, not a tensor"),
        ({7: torch.zeros(1)}, " holds no state dict: an int is no name of a parameter"),
        ({"a": torch.zeros(1).expand(10**12)}, ": a claims 1,000,000,000,000 numbers, more than the file holds"),
        ({"a": torch.eye(3).to_sparse()}, ": a is not a plain tensor"),
        ({"a": torch.zeros(3, device="meta")}, ": a is not a plain tensor"),
    ),
)  # fmt: skip
def test_other_contents_are_named(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    assert refusal(path) == message


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    assert refusal(path).startswith(
        " asks for torch.nn.modules.linear.Linear, which has no place in a checkpoint: "
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    (
        (b"", "an empty file"),
        (b"x", "a single byte"),
        (b"\x80\x04.", "a file of 3 bytes"),
        (pickle.dumps({"a": list(range(9))}), "a plain pickle"),
        (random.Random(0).randbytes(5000), "data of an unknown kind"),
    ),
)
def test_files_of_another_kind_are_named(data: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(data)
    assert refusal(path) == f" is not a checkpoint but {kind}"


@pytest.mark.parametrize("keep", (0.1, 0.3, 0.6, 0.8, 0.99))
@pytest.mark.parametrize("zipped", (True, False))
def test_truncated_files_are_named(keep: float, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    said = [
        "the file is cut off, its end is missing",
        "it begins like a checkpoint, but what follows is none",
    ]
    assert refusal(path).removeprefix(" is damaged: ") in said[: 1 if zipped else 2]


@pytest.mark.parametrize("zipped", (True, False))
@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes_never_show_the_reader_inside(seed: int, zipped: bool, tmp_path: Path) -> None:
    path, draw = tmp_path / "weights.pt", random.Random(seed)
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    data = bytearray(path.read_bytes())
    # the pickle comes first in either format
    for _ in range(20):
        data[draw.randrange(60, 300)] = draw.randrange(256)
    path.write_bytes(data)
    assert not re.search("operand|Error|codec|Unpickl|weights_only", refusal(path))


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").mkdir()
    assert refusal(tmp_path / "weights.pt") == " cannot be read: Is a directory"


def test_memory_that_is_too_small_is_no_damage_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(WEIGHTS, path)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:1] . DefaultCPUAllocator: can't allocate memory\nmore"
        )

    monkeypatch.setattr(torch, "load", fail)
    assert refusal(path) == " cannot be read: there is not enough memory for it"


def test_other_archives_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("document.xml", "<a/>")
    assert refusal(path) == " is not a checkpoint but a zip archive that holds document.xml"
    with zipfile.ZipFile(path, "w") as archive:
        pass
    assert refusal(path) == " is not a checkpoint but a zip archive that holds nothing"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\0" * 100)
    assert refusal(path) == " is damaged: it begins like a checkpoint, but what follows is none"
    path.write_bytes(path.read_bytes().replace(b"PK\x03\x04", b"PK\x03\x05"))
    assert refusal(path) == " is damaged: record 'archive/data.pkl' cannot be opened"
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x05"))
    assert refusal(path) == " is damaged: its archive cannot be opened"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 5_000_000)
    assert refusal(path) == " is a compressed archive, not a checkpoint that torch.save wrote"
