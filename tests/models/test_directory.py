"""Model directories: round trip, and one clear line for everything that can be wrong with them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.state import ModelState


@pytest.fixture
def saved(tmp_path):
    """Save a small model."""
    model = bx.build("protein", dim=32, blocks=2, heads=2, seed=3)
    model.save(tmp_path / "model", card="# a card\n")
    return model, tmp_path / "model"


def test_round_trip_is_exact(saved):
    model, directory = saved
    again = bx.load(directory)
    assert again.config == model.config and again.tokenizer == model.tokenizer
    assert again.weight_hash() == model.weight_hash()
    tokens = torch.randint(4, 24, (2, 30))
    assert torch.equal(again(tokens).logits, model.eval()(tokens).logits)
    assert (directory / "README.md").read_text() == "# a card\n"


def test_seed_decides_the_weights():
    one, same, other = (bx.build("dna", dim=32, blocks=1, heads=2, seed=seed) for seed in (1, 1, 2))
    assert one.weight_hash() == same.weight_hash() != other.weight_hash()


def test_building_leaves_the_random_state_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    bx.build("dna", dim=32, blocks=1, heads=2)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("name", ("config.json", "model.safetensors", "tokenizer.json"))
def test_missing_file_is_named(saved, name):
    _, directory = saved
    (directory / name).unlink()
    with pytest.raises(ModelError, match=f"is not a complete model directory: {name} is missing"):
        bx.load(directory)


def test_damaged_weights_are_named(saved):
    _, directory = saved
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="model.safetensors is damaged"):
        bx.load(directory)


def change_config(directory, **changes):
    """Rewrite config.json."""
    settings = json.loads((directory / "config.json").read_text()) | changes
    (directory / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"format": 99}, "has format 99; this version of bio_xlstm reads format 1"),
        ({"dim": 64}, "model.safetensors does not fit config.json"),
        ({"blocks": 3}, "model.safetensors does not fit config.json: it lacks blocks.2"),
        ({"blocks": 1}, "model.safetensors does not fit config.json: it has unknown blocks.1"),
        ({"vocabulary": 12}, "config.json says 12 tokens, tokenizer.json holds 38"),
        ({"colour": "blue"}, "unknown model setting colour"),
        ({"heads": 5}, "the inner width 64 is not divisible by heads=5"),
        ({"expansion": "2"}, "config.json: expansion must be a number, not '2'"),
        ({"inner_dim": -64}, "config.json: inner_dim must be a positive whole number, not -64"),
        ({"inner_dim": "x"}, "config.json: inner_dim must be a positive whole number or nothing, not 'x'"),
        ({"norm_eps": None}, "config.json: norm_eps must be a number, not None"),
        ({"norm_eps": 0}, "config.json: norm_eps must be positive, not 0"),
        ({"bias": 1}, "config.json: bias must be true or false, not 1"),
        ({"family": 5}, "config.json: family must be text, not 5"),
        ({"family": "nope"}, "config.json: no family 'nope'; known: dna, protein, chem"),
    ),
)
def test_wrong_configuration_is_explained(saved, changes, message):
    _, directory = saved
    change_config(directory, **changes)
    with pytest.raises(ModelError, match=message):
        bx.load(directory)


@pytest.mark.parametrize("text", ("not json", "[1]", "3", "{}"))
def test_configuration_that_is_not_ours_is_named(saved, text):
    _, directory = saved
    (directory / "config.json").write_text(text)
    with pytest.raises(ModelError, match="config.json is not the configuration of a bio_xlstm model"):
        bx.load(directory)


def test_unknown_name_lists_what_there_is(tmp_path):
    with pytest.raises(ModelError, match="there is no model 'protein-smal': give a bundled name"):
        bx.load("protein-smal")


@pytest.mark.parametrize(
    ("settings", "message"),
    (
        ({"dim": 0}, "dim must be a positive whole number, not 0"),
        ({"heads": 2.5}, "heads must be a positive whole number, not 2.5"),
        (
            {"direction": "up"},
            "direction must be one of causal, alternating, shared, separate, two_sided, not 'up'",
        ),
        ({"direction": "shared"}, "sees its targets"),
        ({"objective": "guess"}, "objective must be one of causal, infill, masked, not 'guess'"),
        ({"double_residual": True}, "double_residual only exists for direction='shared'"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
        ({"heads": 7}, "the inner width 256 is not divisible by heads=7"),
        ({"qkv_block": 3}, "the inner width 256 is not divisible by qkv_block=3"),
        ({"width": 3}, "unknown model setting width; known: "),
        ({"expansion": -1}, "expansion must be positive, not -1"),
        ({"inner_dim": -64}, "inner_dim must be a positive whole number, not -64"),
        ({"block": "down"}, "block must be one of pre_up, post_up, not 'down'"),
        ({"slstm_at": [4]}, r"slstm_at must name different blocks from 0 to 3, not \[4\]"),
        ({"slstm_at": [1, 1]}, r"slstm_at must name different blocks from 0 to 3, not \[1, 1\]"),
        ({"slstm_at": [1.5]}, r"slstm_at must be a list of whole numbers, not \[1.5\]"),
        ({"slstm_at": [0], "slstm_heads": 3}, "the width dim=128 is not divisible by 3 sLSTM heads"),
        ({"block": "post_up", "heads": 3}, "the key width 64 is not divisible by heads=3"),
        ({"reverse_complement": "equivariant"}, "a model that reads both strands sees its targets"),
        ({"conv_causal": False}, "a model that looks ahead in its convolutions sees its targets"),
        (
            {"direction": "two_sided", "objective": "masked", "block": "post_up"},
            "only exists for block='pre_up'",
        ),
        ({"flip_strand_heads": True}, "flip_strand_heads only exists for sLSTM blocks with"),
        ({"block": "post_up", "rotary": "head"}, "rotary='head' only exists for block='pre_up'"),
        ({"rotary": "head", "inner_dim": 12}, "rotary='head' turns pairs of channels: 3 is odd"),
        ({"dim": 66, "position_embedding": "learned_2d"}, "needs a dim divisible by 4, not 66"),
        (
            {"position_embedding": "learned", "tie_weights": True},
            "tied weights need an embedding of the whole width",
        ),
        ({"gate_cap": -1.0}, "gate_cap must not be negative, not -1.0"),
        (
            {"reverse_complement": "equivariant", "objective": "masked", "position_embedding": "sinusoidal"},
            "positions that embeddings or gates see count from one end",
        ),
    ),
)
def test_wrong_setting_is_explained(settings, message):
    with pytest.raises(ConfigError, match=message):
        bx.build("dna", **settings)


def test_unknown_family_lists_the_known():
    with pytest.raises(ConfigError, match="unknown family 'rna'; known: dna, protein, chem"):
        bx.build("rna")


def test_damaged_state_is_named(tmp_path):
    (tmp_path / "a.state").write_bytes(b"not a state")
    with pytest.raises(ModelError, match="a.state is no state file, or a damaged one"):
        ModelState.load(tmp_path / "a.state")
    save_file({"position": torch.zeros(1)}, tmp_path / "b.state")
    with pytest.raises(ModelError, match="b.state is not a state of this version"):
        ModelState.load(tmp_path / "b.state")
    with pytest.raises(ModelError, match="cannot read the state .*none.state"):
        ModelState.load(tmp_path / "none.state")


def test_card_survives_loading_and_saving(saved, tmp_path):
    _, directory = saved
    bx.load(directory).save(tmp_path / "copy")
    assert (tmp_path / "copy" / "README.md").read_text() == "# a card\n"
    (directory / "README.md").write_bytes(b"\xff card")
    assert "card" in bx.load(directory).card


def test_weights_that_are_not_numbers_are_named(saved):
    model, directory = saved
    weights = {name: weight.to(torch.int32) for name, weight in model.state_dict().items()}
    save_file(weights, directory / "model.safetensors")
    with pytest.raises(ModelError, match="holds torch.int32 instead of floating-point numbers"):
        bx.load(directory)


def test_wrong_ways_to_load_and_save_are_explained(saved, tmp_path):
    model, directory = saved
    with pytest.raises(ModelError, match="a model is named by text or by a path, not by None"):
        bx.load(None)
    with pytest.raises(ModelError, match="a model is named by text or by a path, not by ''"):
        bx.load("")
    with pytest.raises(ModelError, match="dtype must be a torch dtype such as torch.float32, not 'fp16'"):
        bx.load(directory, dtype="fp16")
    with pytest.raises(ModelError, match="there is no device 'nowhere' here"):
        bx.load(directory, device="nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="file is a file; a model is saved as a folder"):
        model.save(tmp_path / "file")


def test_loading_does_not_import_the_compiler(saved):
    _, directory = saved
    code = f"import sys, bio_xlstm as bx; bx.load({str(directory)!r}); print('torch._dynamo' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
