"""Weights in safetensors files, one or several."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bio_xlstm.errors import ModelError
from bio_xlstm.original.shards import safetensors_weights, shards_in


def test_numbered_files_are_found_in_order(tmp_path: Path) -> None:
    for number in range(3):
        save_file({f"w{number}": torch.full((2,), float(number))}, tmp_path / f"model_{number}.safetensors")
    files = shards_in(tmp_path)
    assert [path.name for path in files] == [f"model_{number}.safetensors" for number in range(3)]
    weights = safetensors_weights(files)
    assert weights.label == str(tmp_path) and weights.shapes["w2"] == (2,)
    assert weights.read("w2").tolist() == [2.0, 2.0] and weights.dtypes["w2"] == torch.float32


def test_one_file_comes_before_shards(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "model.safetensors")
    save_file({"w": torch.zeros(1)}, tmp_path / "model_0.safetensors")
    assert shards_in(tmp_path) == (tmp_path / "model.safetensors",)
    assert shards_in(tmp_path / "nowhere") == ()


@pytest.mark.parametrize(
    ("index", "message"),
    (
        ({"weight_map": {"a": "b.safetensors"}}, "names b.safetensors, which is missing"),
        ({"weight_map": {"a": "../b.safetensors"}}, "weight_map must name files beside it"),
        ({"weight_map": {"a": 3}}, "weight_map must name files beside it"),
        ({"weight_map": {}}, "weight_map must name files beside it"),
        ({"weight_map": [1]}, "weight_map must be a table of settings"),
        ({}, "weight_map must name files beside it"),
    ),
)
def test_a_wrong_index_is_named(index: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=rf"index\.json:? {message}"):
        shards_in(tmp_path)


def test_damaged_and_double_files_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "model_0.safetensors", tmp_path / "model_1.safetensors"
    save_file({"w": torch.zeros(3)}, one)
    save_file({"w": torch.zeros(3)}, other)
    with pytest.raises(ModelError, match="model_1.safetensors holds w, which model_0.safetensors holds too"):
        safetensors_weights((one, other))
    one.write_bytes(one.read_bytes()[:-4])
    with pytest.raises(
        ModelError,
        match="model_0.safetensors is a damaged safetensors file: its header does not fit what foll",
    ):
        safetensors_weights((one,))
    # however long the header is said to be
    for length in (1, 1 << 60):
        one.write_bytes(length.to_bytes(8, "little") + other.read_bytes()[8:])
        with pytest.raises(ModelError, match="model_0.safetensors is a damaged safetensors file: its header"):
            safetensors_weights((one,))
    one.write_bytes(b"\xff" * 100)
    with pytest.raises(
        ModelError, match="model_0.safetensors is not a checkpoint but data of an unknown kind"
    ):
        safetensors_weights((one,))
    one.write_bytes(b"x")
    with pytest.raises(ModelError, match="model_0.safetensors is not a checkpoint but a single byte"):
        safetensors_weights((one,))
    one.unlink()
    with pytest.raises(ModelError, match=r"model_0.safetensors cannot be read: No such file"):
        safetensors_weights((one,))


def test_small_floats_are_told_from_whole_numbers(tmp_path: Path) -> None:
    formats = {"a": torch.float8_e4m3fn, "b": torch.float8_e5m2, "c": torch.int64}
    save_file(
        {name: torch.ones(2).to(dtype) for name, dtype in formats.items()}, tmp_path / "model.safetensors"
    )
    assert safetensors_weights((tmp_path / "model.safetensors",)).dtypes == formats
