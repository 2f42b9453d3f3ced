"""Conversion from end to end: what comes out can be used, and what is wrong with a checkpoint is said in one line."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import bio_xlstm as bx
from bio_xlstm.errors import BioXlstmError, ConfigError, ModelError, OutputError
from bio_xlstm.original.convert import convert
from bio_xlstm.tokenizers import TOKENIZERS
from tests.original.checkpoints import (
    DNA_STATED,
    STACK,
    TABLE,
    large_weights,
    shared_strands,
    v1_weights,
    write_chem,
    write_dna,
    write_hub,
    write_large,
    write_protein,
)

F32 = torch.float32
DNA = {"d_model": 40, "n_layer": 2, "vocab_size": 12, **DNA_STATED}
LARGE = {"embedding_dim": 40, "num_heads": 4, "num_blocks": 2, "vocab_size": 50}


def dna(folder: Path, changes: dict[str, Any] | None = None, **sizes: Any) -> Path:
    """Write a small DNA model."""
    return write_dna(folder, v1_weights(blocks=2, dtype=F32, **sizes), DNA | (changes or {}))


def refused(source: Path, message: str, error: type[BioXlstmError] = ModelError, **choices: Any) -> None:
    """Expect a conversion to be refused, with nothing written."""
    target = source.parent / "refused"
    with pytest.raises(error) as caught:
        convert(source, target, **choices)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not target.exists()


def test_a_dna_model_can_be_used(tmp_path: Path) -> None:
    made = convert(dna(tmp_path / "dna_2m", {"dropout": 0.1}), tmp_path / "model", name="dna-2m")
    model = bx.load(tmp_path / "model")
    assert model.name == "dna-2m" and model.parameter_count == made.parameters and model.config.dropout == 0.1
    assert made.program == "DNA-xLSTM" and made.switches == () and len(made.notes) == 1
    # N is what the originals padded with, and nothing begins a sequence
    assert model.tokenizer.encode("ACGTN").tolist() == [7, 8, 9, 10, 4] and model.tokenizer.start is None
    assert model.embed(["ACGTNNACGT", "A"]).shape == (2, 40)
    whole = model(torch.tensor([[7, 8, 9, 10, 4]]))
    first = model(torch.tensor([[7, 8]]))
    rest = model(torch.tensor([[9, 10, 4]]), state=first.state)
    torch.testing.assert_close(rest.logits, whole.logits[:, 2:], rtol=0, atol=1e-5)


def test_what_both_strands_say_can_be_embedded(tmp_path: Path) -> None:
    weights = shared_strands(v1_weights(blocks=2, slstm_at=(0, 1), slstm_heads=1, dtype=F32))
    config = DNA | {"rcps": True, "bidirectional": True, "s_lstm_at": [0, 1], "s_num_heads": 1}
    made = convert(write_dna(tmp_path / "ps", weights, config), tmp_path / "model")
    assert [line.split(":")[0] for line in made.switches] == ["double_residual = true"] and not made.notes
    model = bx.load(tmp_path / "model")
    assert np.isfinite(model.embed(["ACGTACGT"])).all() and model.config.objective == "masked"


def test_a_protein_model_can_be_used(tmp_path: Path) -> None:
    weights = v1_weights(vocabulary=38, inner=128, dtype=F32)
    config = {
        "num_blocks": 3,
        "embedding_dim": 40,
        "position_embeddings": "rot_1d",
        "checkpoint_blocks": True,
    }
    convert(write_protein(tmp_path / "prot", weights, config), tmp_path / "model")
    model = bx.load(tmp_path / "model")
    assert model.embed(["MKTAYIAK", "GSHM"]).shape == (2, 40)
    assert model.tokenizer == TOKENIZERS["protein"]()


def test_a_chemical_model_can_be_used(tmp_path: Path) -> None:
    weights = v1_weights(vocabulary=21, inner=128, dtype=F32)
    convert(write_chem(tmp_path / "chem", weights), tmp_path / "model")
    model = bx.load(tmp_path / "model")
    assert model.embed(["C[C@@H](N)O", "c1ccoc1"]).shape == (2, 40)
    assert model.tokenizer.vocabulary.symbols == (*TABLE, "[unused-19]", "[unused-20]")


def test_a_large_model_reads_ids(tmp_path: Path) -> None:
    convert(write_large(tmp_path / "large", large_weights(dtype=F32), LARGE), tmp_path / "model")
    model = bx.load(tmp_path / "model")
    assert model.config.family == "tokens" and model.embed(["5 17 3", "49"]).shape == (2, 40)


def test_a_large_model_may_read_another_alphabet(tmp_path: Path) -> None:
    source = write_large(
        tmp_path / "large", large_weights(vocabulary=38, dtype=F32), LARGE | {"vocab_size": 38}
    )
    made = convert(source, tmp_path / "one", family="protein")
    TOKENIZERS["protein"]().save(tmp_path / "tokenizer.json")
    for number, tokenizer in enumerate(
        (tmp_path / "tokenizer.json", tmp_path / "one", TOKENIZERS["protein"]())
    ):
        again = convert(source, tmp_path / f"model{number}", tokenizer=tokenizer)
        assert again.config == made.config and made.config.family == "protein"
    assert bx.load(tmp_path / "one").embed(["MKT"]).shape == (1, 40)
    refused(source, "--tokenizer has 12 symbols, but", ConfigError, family="dna")
    refused(source, "--tokenizer reads protein, but", ConfigError, family="dna", tokenizer=tmp_path / "one")


@pytest.mark.parametrize(
    "prefix", ("model.backbone.", "backbone.backbone.", "model.", "backbone.", "", "model._orig_mod.")
)
def test_wrappers_do_not_matter(prefix: str, tmp_path: Path) -> None:
    weights = v1_weights(blocks=2, dtype=F32)
    convert(write_dna(tmp_path / "a", weights, DNA, prefix), tmp_path / "model")
    assert torch.equal(bx.load(tmp_path / "model").head.weight, weights["lm_head.weight"])


@pytest.mark.parametrize(
    "around", (lambda c: c, lambda c: {"config": c}, lambda c: {"model": {"_name_": "x", "config": c}})
)
def test_the_section_may_lie_in_others(around: Callable[[Any], Any], tmp_path: Path) -> None:
    source = dna(tmp_path / "a")
    config = DNA | {"bidirectional": "true", "n_layer": "2", "_target_": "x", "unknown": [1]}
    (source / "model_config.json").write_text(json.dumps(around(config)))
    assert convert(source, tmp_path / "model").config.direction == "shared"


def test_a_checkpoint_may_lie_below_its_settings(tmp_path: Path) -> None:
    source = dna(tmp_path / "run")
    (source / "checkpoints" / "test").mkdir(parents=True)
    nested = (source / "last.ckpt").rename(source / "checkpoints" / "test" / "loss.ckpt")
    made = convert(source, tmp_path / "one")
    assert convert(nested, tmp_path / "two").config == made.config
    (source / "checkpoints" / "other.ckpt").write_bytes(nested.read_bytes())
    refused(
        source, "holds 2 checkpoints (checkpoints/other.ckpt, checkpoints/test/loss.ckpt): name one of them"
    )


def test_weights_may_be_named_by_their_file(tmp_path: Path) -> None:
    chem = write_chem(tmp_path / "chem", v1_weights(vocabulary=21, inner=128, dtype=F32))
    protein = write_protein(tmp_path / "prot", v1_weights(vocabulary=38, inner=128, dtype=F32), {})
    large = write_large(tmp_path / "large", large_weights(dtype=F32), LARGE)
    for number, path in enumerate(
        (chem / "model.pt", protein / "pytorch_model.bin", large / "model.safetensors")
    ):
        assert convert(path, tmp_path / f"model{number}").parameters > 0


def test_proteins_may_lie_in_safetensors(tmp_path: Path) -> None:
    weights = v1_weights(vocabulary=38, inner=128, tied=True, dtype=F32)
    source = write_protein(tmp_path / "prot", weights, {"tie_weights": True})
    (source / "pytorch_model.bin").unlink()
    # a file that stores tied weights once
    kept = {f"backbone.{name}": weight for name, weight in weights.items() if "token_embedding" not in name}
    save_file(kept, source / "model.safetensors")
    convert(source, tmp_path / "model")
    assert torch.equal(bx.load(tmp_path / "model").embedding.weight, weights["lm_head.weight"])


def test_tied_weights_that_differ_are_refused(tmp_path: Path) -> None:
    source = write_protein(
        tmp_path / "prot", v1_weights(vocabulary=38, inner=128, dtype=F32), {"tie_weights": True}
    )
    refused(source, "ties the head to the embedding, but")


@pytest.mark.parametrize(
    ("dtype", "wanted"), (("keep", torch.bfloat16), ("fp32", F32), ("fp64", torch.float64))
)
def test_precision_is_kept_or_chosen(dtype: str, wanted: torch.dtype, tmp_path: Path) -> None:
    weights = v1_weights(blocks=2, dtype=torch.bfloat16)
    convert(write_dna(tmp_path / "a", weights, DNA), tmp_path / "model", dtype=dtype)
    stored = load_file(tmp_path / "model" / "model.safetensors")
    gains = {name for name in stored if "norm" in name}
    assert {weight.dtype for name, weight in stored.items() if name not in gains} == {wanted}
    # float32 would round what the original keeps as gain - 1
    exact = torch.float64 if wanted == F32 else wanted
    assert {stored[name].dtype for name in gains} == {exact}
    gain = weights[STACK + "blocks.0.xlstm_norm.weight"]
    assert torch.equal(stored["blocks.0.norm.weight"], gain.to(exact) + 1)
    bx.load(tmp_path / "model").embed(["ACGT"])


def test_mixed_precision_becomes_the_widest(tmp_path: Path) -> None:
    weights = v1_weights(blocks=2, dtype=torch.bfloat16)
    weights["lm_head.weight"] = weights["lm_head.weight"].float()
    convert(write_dna(tmp_path / "a", weights, DNA), tmp_path / "model")
    assert bx.load(tmp_path / "model").dtype == F32


def test_the_card_says_where_a_model_comes_from(tmp_path: Path) -> None:
    source = dna(
        tmp_path / "a", {"bidirectional": True, "m_backend_bidirectional": True, "m_conv1d_causal": False}
    )
    made = convert(source, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert card.startswith("# model\n") and "ml-jku/DNA-xLSTM" in card and "Apache-2.0" in card
    assert re.search(r"\| last\.ckpt \| [0-9a-f]{64} \|", card) and "| model_config.json |" in card
    assert [line.split(":")[0] for line in made.switches] == ["conv_causal = false", "direction = two_sided"]
    assert all(line in card for line in made.switches)


def test_a_flag_that_had_no_effect_has_none(tmp_path: Path) -> None:
    config = {
        "bidirectional": True,
        "m_backend_bidirectional": True,
        "m_backend": "chunkwise",
        "tie_weights": True,
    }
    made = convert(dna(tmp_path / "a", config), tmp_path / "model")
    assert (
        made.config.direction == "causal"
        and made.config.objective == "masked"
        and not made.config.tie_weights
    )
    assert len(made.notes) == 2 and "no effect with m_backend chunkwise" in made.notes[0]
    hybrid = dna(tmp_path / "b", config | {"s_lstm_at": [1]}, slstm_at=(1,))
    refused(hybrid, "mLSTM blocks that read one way (m_backend chunkwise) between sLSTM blocks")


def test_the_objective_can_be_said(tmp_path: Path) -> None:
    source = dna(tmp_path / "a")
    made = convert(source, tmp_path / "one", objective="masked")
    assert made.config.objective == "masked" and not made.notes
    refused(
        source, "objective must be one of causal, infill, masked, not 'guess'", ConfigError, objective="guess"
    )
    shared = dna(tmp_path / "b", {"bidirectional": True})
    refused(shared, "a model that reads both ways (shared) sees its targets", ConfigError, objective="causal")


def test_a_number_of_heads_is_held_against_the_weights(tmp_path: Path) -> None:
    source = write_chem(tmp_path / "chem", v1_weights(vocabulary=21, inner=128, heads=8, dtype=F32))
    assert convert(source, tmp_path / "one", heads=8).config.heads == 8
    refused(source, "--heads 4 does not fit", ConfigError, heads=4)


def test_wrong_options_are_named(tmp_path: Path) -> None:
    source = dna(tmp_path / "a")
    refused(source, "dtype must be one of keep, fp32, fp64, not 'fp16'", ConfigError, dtype="fp16")
    refused(source, "family must be one of dna, protein, chem, tokens, not 'rna'", ConfigError, family="rna")
    refused(source, "--family chem does not fit a checkpoint of DNA-xLSTM", ConfigError, family="chem")
    refused(source, "there is no model 'nothing'", tokenizer="nothing")


def test_a_taken_target_is_kept(tmp_path: Path) -> None:
    source, target = dna(tmp_path / "a"), tmp_path / "model"
    convert(source, target)
    (target / "mine.txt").write_text("kept")
    before = (target / "model.safetensors").read_bytes()
    with pytest.raises(OutputError, match="model holds a config.json already; --overwrite replaces"):
        convert(source, target)
    convert(dna(tmp_path / "b", seed=1), target, overwrite=True)
    assert (target / "model.safetensors").read_bytes() != before and (target / "mine.txt").exists()
    with pytest.raises(OutputError, match="a is the folder of the original"):
        convert(source / "last.ckpt", source, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file is a file; a model is written as a folder"):
        convert(source, tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        convert(source, tmp_path / "file" / "below")


def test_a_card_that_is_not_ours_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "project"
    target.mkdir()
    (target / "README.md").write_text("mine")
    with pytest.raises(OutputError, match="project holds a README.md already; --overwrite replaces"):
        convert(dna(tmp_path / "a"), target)
    assert (target / "README.md").read_text() == "mine"


@pytest.mark.parametrize("error", (OSError(28, "No space left on device"), KeyboardInterrupt()))
@pytest.mark.parametrize("place", ("_write_weights", "json.dumps"))
def test_what_could_not_be_written_whole_is_taken_back(
    place: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = dna(tmp_path / "a"), tmp_path / "new" / "model"

    def fail(*arguments: Any, **_: Any) -> None:
        if isinstance(arguments[0], Path):
            arguments[0].write_bytes(b"half")
        raise error

    monkeypatch.setattr(f"bio_xlstm.original.write.{place}", fail)
    wanted = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(wanted, match="cannot be written: No space left" if wanted is OutputError else None):
        convert(source, target)
    assert not (tmp_path / "new").exists()


def test_a_model_survives_that_its_successor_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    convert(dna(tmp_path / "a"), target)
    before = {path.name: path.read_bytes() for path in target.iterdir()}

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bio_xlstm.original.write._write_weights", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        convert(dna(tmp_path / "b", seed=1), target, overwrite=True)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before


def test_unknown_sources_are_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "nowhere: no such file or folder")
    empty = tmp_path / "empty"
    empty.mkdir()
    wanted = "empty holds none of model_config.json, init_arguments.json, config.yaml, config.json: bioxlstm models"
    refused(empty, wanted)
    (empty / "model_config.json").write_text("{}")
    refused(empty, "holds a model_config.json but no .ckpt file")
    (empty / "last.ckpt").mkdir()
    refused(empty, "holds a model_config.json but no .ckpt file")
    lone = tmp_path / "lone.ckpt"
    lone.write_bytes(b"")
    refused(lone, "there is no model_config.json beside it or above it")
    lone = tmp_path / "model.bin"
    lone.write_bytes(b"")
    refused(
        lone,
        "has none of init_arguments.json, config.yaml, config.json beside it: bioxlstm models convert --help",
    )
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "init_arguments.json").write_text("{}")
    refused(tmp_path / "c", "c lacks model.pt")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "config.json").write_text("{}")
    refused(tmp_path / "d", "holds settings but no weights (model.safetensors or pytorch_model.bin)")
    save_file({"w": torch.zeros(1)}, tmp_path / "d" / "model.safetensors")
    refused(
        tmp_path / "d",
        "config.json describes neither Prot-xLSTM nor xLSTM-7b: bioxlstm models convert --help",
    )
    bx.build("dna", dim=32, blocks=1).save(tmp_path / "ours")
    refused(tmp_path / "ours", "ours is a model of bio_xlstm already")


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"n_layer": 10**9}, "n_layer makes 1000000000 blocks, but the weights have 2"),
        ({"d_model": 64}, "d_model makes 64 channels, but the weights have 40"),
        ({"m_proj_factor": 4}, "m_proj_factor makes 128 inner channels, but the weights have 64"),
        ({"m_num_heads": 8}, "m_num_heads makes 8 heads, but the weights have 4"),
        ({"m_conv1d_kernel_size": 3}, "m_conv1d_kernel_size makes 3 taps, but the weights have 4"),
        ({"m_qkv_proj_blocksize": 8}, "m_qkv_proj_blocksize makes 8 rows a block, but the weights have 4"),
        ({"s_lstm_at": [0]}, "s_lstm_at is [0], but the sLSTM blocks of the weights are [1]"),
        ({"s_num_heads": 2}, "s_num_heads makes 2 sLSTM heads, but the weights have 4"),
        ({"s_conv1d_kernel_size": 0}, "s_conv1d_kernel_size makes 0 taps, but the weights have 4"),
        ({"vocab_size": 20}, "vocab_size makes 20 tokens, but the weights have 12"),
        ({"rcps": True}, "rcps is True, but the weights are not shared"),
        ({"complement_map": {"7": 8}}, "complement_map pairs id 7 with 8, which is no complement"),
        ({"complement_map": {"7": "x"}}, "complement_map pairs id 7 with 'x', which is no complement"),
        ({"complement_map": {"12": 12}}, "complement_map pairs id 12 with 12, which is no complement"),
        ({"s_proj_factor": 2}, "s_proj_factor makes 128 feed-forward channels, but the weights have 40"),
        ({"m_proj_factor": 1e308}, "m_proj_factor makes 0 inner channels, but the weights have 64"),
        ({"dropout": 2}, "dropout must be at least 0 and below 1, not 2"),
        ({"bidirectional": "maybe"}, "bidirectional must be true or false, not 'maybe'"),
        ({"d_model": "${a}"}, "d_model must be a whole number, not '${a}'"),
        ({"bidirectional": True, "m_backend_bidirectional": True, "m_backend": "x"},
         "m_backend must be one of parallel, chunkwise, not 'x'"),
        ({"rcps": [True]}, "rcps must be true or false, not [True]"),
    ),
)  # fmt: skip
def test_dna_settings_that_do_not_fit_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    refused(dna(tmp_path / "a", changes, slstm_at=(1,)), f"model_config.json: {message}")


def test_strands_of_mlstm_blocks_cannot_have_been_shared(tmp_path: Path) -> None:
    source = write_dna(tmp_path / "a", shared_strands(v1_weights(blocks=2, dtype=F32)), DNA | {"rcps": True})
    refused(source, "the original program cannot share the strands of mLSTM blocks (rcps)")


def test_strands_that_pair_other_bases_are_refused(tmp_path: Path) -> None:
    weights = shared_strands(v1_weights(blocks=2, slstm_at=(0, 1), dtype=F32))
    weights["lm_head.complement_map"] = torch.arange(12)
    refused(
        write_dna(tmp_path / "a", weights, DNA | {"rcps": True}),
        "lm_head.complement_map pairs other bases than the tokenizer",
    )


def test_embedded_positions_and_shared_strands_do_not_go_together(tmp_path: Path) -> None:
    weights = shared_strands(v1_weights(blocks=2, slstm_at=(0, 1), sinusoidal=True, dtype=F32))
    refused(
        write_dna(tmp_path / "a", weights, DNA | {"rcps": True}),
        "positions that embeddings or gates see count from one end",
    )


def test_a_small_vocabulary_needs_its_tokenizer(tmp_path: Path) -> None:
    source = write_dna(tmp_path / "a", v1_weights(blocks=2, vocabulary=8, dtype=F32), DNA | {"vocab_size": 8})
    refused(source, "has 8 tokens, fewer than DNA-xLSTM's 12: name its --tokenizer")
    source = write_protein(tmp_path / "b", v1_weights(vocabulary=20, inner=128, dtype=F32), {})
    refused(source, "has 20 tokens, fewer than Prot-xLSTM's 38: name its --tokenizer")


Change = Callable[[dict[str, torch.Tensor]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    (
        (lambda w: w.pop("lm_head.weight"), "lacks lm_head.weight"),
        (lambda w: w.pop(STACK + "blocks.1.ffn_norm.weight"), "lacks xlstm_block_stack.blocks.1.ffn_norm.weight"),
        (lambda w: w.pop(STACK + "blocks.0.xlstm.learnable_skip"), "lacks xlstm_block_stack.blocks.0.xlstm.learnable"),
        (lambda w: w.pop(STACK + "blocks.0.xlstm.mlstm_cell.igate.weight"), "0.xlstm.mlstm_cell.igate.weight"),
        (lambda w: w.update(extra=torch.zeros(2)), "holds model.backbone.extra, which is no part of DNA-xLSTM"),
        (lambda w: w.update({"decoder.0.weight": torch.zeros(2)}), "holds model.backbone.decoder.0.weight, which is"),
        (lambda w: w.update({f"extra.{i}": torch.zeros(2) for i in range(3)}),
         "holds model.backbone.extra.0, model.backbone.extra.1, model.backbone.extra.2, which are no parts of DNA"),
        (lambda w: w.update({f"extra.{i}": torch.zeros(2) for i in range(5)}),
         "model.backbone.extra.2 and 2 more, which are no parts of DNA-xLSTM"),
        (lambda w: w.update({"token_embedding.weight": torch.zeros(12, 39)}),
         "token_embedding.weight has shape (12, 39) where model_config.json needs (12, 40)"),
        (lambda w: w.update({STACK + "blocks.0.xlstm.conv1d.conv.weight": torch.zeros(64, 2, 4)}),
         "conv.weight has shape (64, 2, 4)"),
        (lambda w: w.update({STACK + "blocks.1.xlstm.slstm_cell._recurrent_kernel_": torch.zeros(4, 10, 30)}),
         "is neither (H, K, 4 K) nor (H, 4 K, K)"),
        (lambda w: w.update({STACK + "blocks.1.xlstm.slstm_cell._bias_": torch.zeros(150)}),
         "a bias of 150 numbers does not fit 4 heads of 10 units"),
        (lambda w: w.update({STACK + "blocks.1.xlstm.slstm_cell._recurrent_kernel_": torch.zeros(4, 10)}),
         "has shape (4, 10), not 3 axes"),
        (lambda w: w.update({"lm_head.weight": torch.zeros(0, 40)}), "has shape (0, 40), not 2 axes"),
        (lambda w: w.update({"lm_head.weight": torch.zeros(12, 40).long()}), "lm_head.weight holds no floating-point"),
        (lambda w: w.update({"lm_head.weight": w["lm_head.weight"].to(torch.float8_e4m3fn)}),
         "model.backbone.lm_head.weight holds float8_e4m3fn numbers, which cannot be converted, "
         "only float64, float32, float16 and bfloat16"),
        (lambda w: w["lm_head.weight"].fill_(float("nan")), "lm_head.weight holds numbers that are not finite"),
        (lambda w: w.update({"module.lm_head.weight": w["lm_head.weight"]}), "which are the same parameter"),
        (lambda w: [w.update({name.replace("blocks.1", "blocks.2"): w.pop(name)}) for name in list(w)],
         "lacks xlstm_block_stack.blocks.1"),
        (lambda w: [w.pop(name) for name in list(w) if "blocks" in name], "holds no xLSTM blocks but"),
    ),
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(change: Change, message: str, tmp_path: Path) -> None:
    weights = v1_weights(blocks=2, slstm_at=(1,), dtype=F32)
    change(weights)
    refused(write_dna(tmp_path / "a", weights, DNA), message)


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"num_blocks": 4}, "num_blocks makes 4 blocks, but the weights have 3"),
        ({"embedding_dim": 41}, "embedding_dim makes 41 channels, but the weights have 40"),
        ({"vocab_size": 40}, "vocab_size makes 40 tokens, but the weights have 38"),
        ({"mlstm_block": {"mlstm": {"num_heads": 2}}}, "num_heads makes 2 heads, but the weights have 4"),
        ({"mlstm_block": {"mlstm": {"proj_factor": 1.0}}}, "proj_factor makes 64 inner channels, but the weights"),
        ({"mlstm_block": {"mlstm": 3}}, "mlstm must be a table of settings, not 3"),
        ({"position_embeddings": "rope"}, "position_embeddings must be one of none, abs_1d, abs_2d, rot_1d, rot_2d"),
        ({"position_embeddings": "rot_1d", "rope_base_frequency": 0}, "rotary_base must be positive, not 0"),
        ({"position_embeddings": "abs_1d"}, "lacks position_embedding.weight"),
        ({"position_embeddings": "abs_1d", "max_position_embeddings": 1 << 61}, "config.json: "),
        ({"position_embeddings": "rot_1d", "tie_weights": "x"}, "tie_weights must be true or false, not 'x'"),
    ),
)  # fmt: skip
def test_protein_settings_that_do_not_fit_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    refused(write_protein(tmp_path / "a", v1_weights(vocabulary=38, inner=128, dtype=F32), changes), message)


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"n_layers": 4}, "n_layers makes 4 blocks, but the weights have 3"),
        ({"model_dim": 64}, "model_dim makes 64 channels, but the weights have 40"),
        ({"mode": "fasta"}, "mode is 'fasta'; only SMILES models can be converted"),
        ({"token2label": None}, "does not state token2label, which Chem-xLSTM always writes"),
        ({"token2label": {"C": 0}}, "token2label has no [BEG]: the vocabulary cannot be read from it"),
        ({"token2label": {"[BEG]": 0}}, "token2label has no [END]"),
        ({"token2label": {"[BEG]": 0, "C": 0}}, "token2label gives '[BEG]' and 'C' the same id"),
        ({"token2label": {"[BEG]": 21}}, "token2label gives '[BEG]' the id 21"),
        ({"token2label": {"[BEG]": "1"}}, "token2label gives '[BEG]' the id '1'"),
        ({"token2label": {"": 1}}, "token2label gives '' the id 1"),
        ({"token2label": {" ": 1}}, "token2label holds ' ', which cannot stand in a line of SMILES"),
        ({"token2label": {"C\n": 1}}, "token2label holds 'C\\n', which cannot stand in a line of SMILES"),
        ({"token2label": {"\0": 1}}, "token2label holds '\\x00', which cannot stand in a line of SMILES"),
        (
            {"token2label": {"C\ud800": 1}},
            "token2label holds 'C\\ud800', which cannot stand in a line of SMILES",
        ),
        ({"token2label": ["C"]}, "token2label must be a table of settings, not ['C']"),
    ),
)
def test_chemical_settings_that_do_not_fit_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    source = write_chem(tmp_path / "a", v1_weights(vocabulary=21, inner=128, dtype=F32), **changes)
    refused(source, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"num_blocks": 3}, "num_blocks makes 3 blocks, but the weights have 2"),
        ({"embedding_dim": 48}, "embedding_dim makes 48 channels, but the weights have 40"),
        ({"num_heads": 8}, "num_heads makes 8 heads, but the weights have 4"),
        ({"vocab_size": 51}, "vocab_size makes 51 tokens, but the weights have 50"),
        ({"chunkwise_kernel": "chunkwise--triton_xl_chunk_siging"}, "models with sigmoid input gates"),
        ({"eps": 1e-5}, "eps is 1e-05, but our kernels compute with 1e-06"),
        ({"norm_eps": -1}, "norm_eps must be positive, not -1"),
        ({"gate_soft_cap": "high"}, "gate_soft_cap must be a number, not 'high'"),
    ),
)
def test_large_settings_that_do_not_fit_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    refused(write_large(tmp_path / "a", large_weights(dtype=F32), LARGE | changes), f"config.yaml: {message}")


def test_large_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    weights = large_weights(dtype=F32)
    weights["backbone.blocks.1.ffn.proj_up.weight"] = torch.zeros(47, 40)
    refused(
        write_large(tmp_path / "a", weights, LARGE),
        "proj_up_gate.weight has shape (48, 40), which makes (95, 40)",
    )
    weights = {name: weight for name, weight in large_weights(dtype=F32).items() if ".q." not in name}
    refused(write_large(tmp_path / "b", weights, LARGE), "lacks blocks.0.mlstm_layer.q.weight")
    hub = write_hub(
        tmp_path / "c", large_weights(dtype=F32), {"hidden_size": 40, "num_hidden_layers": 2, "num_heads": 4}
    )
    (hub / "model-00002-of-00002.safetensors").unlink()
    refused(hub, "names model-00002-of-00002.safetensors, which is missing")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(
    ("name", "settings", "said"),
    (
        ("last.ckpt", "model_config.json", "a holds a model_config.json but no .ckpt file"),
        ("checkpoints/last.ckpt", "model_config.json", "a holds a model_config.json but no .ckpt file"),
        ("model.pt", "init_arguments.json", "a lacks model.pt"),
        ("model.safetensors", "config.yaml", "a holds settings but no weights"),
        ("pytorch_model.bin", "config.json", "a holds settings but no weights"),
        ("other", "config.json", "a holds settings but no weights"),
    ),
)
def test_nothing_waits_for_a_pipe(name: str, settings: str, said: str, tmp_path: Path) -> None:
    pipe = tmp_path / "a" / name
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    refused(pipe, f"{pipe} is neither a file nor a folder")
    (tmp_path / "a" / settings).write_text("{}")
    refused(tmp_path / "a", said)
    (tmp_path / "a" / settings).unlink()
    os.mkfifo(tmp_path / "a" / settings)
    refused(tmp_path / "a", "a holds none of model_config.json")


PROTEIN = {"num_blocks": 3, "embedding_dim": 40, "vocab_size": 38, "position_embeddings": "rot_1d"}
HUB = {"hidden_size": 40, "num_hidden_layers": 2, "num_heads": 4}


def written(program: str, folder: Path, settings: dict[str, Any]) -> Path:
    """Write a small checkpoint of a program, and in place of its settings these."""
    v1 = v1_weights(vocabulary=38 if program == "protein" else 21, inner=128, dtype=F32)
    if program == "dna":
        write_dna(folder, v1_weights(blocks=2, dtype=F32), {})
    elif program == "protein":
        write_protein(folder, v1, {})
    elif program == "chem":
        write_chem(folder, v1)
    elif program == "large":
        return write_large(folder, large_weights(dtype=F32), settings)
    else:
        write_hub(folder, large_weights(dtype=F32), {})
    path = next(folder.glob("*[gs].json"))
    marks = {"protein": {"mlstm_block": {}}, "hub": {"model_type": "xlstm"}}
    path.write_text(json.dumps({**marks.get(program, {}), **settings}))
    return folder


@pytest.mark.parametrize(
    ("program", "settings", "message"),
    (
        ("dna", {"a": 1}, "model_config.json does not state d_model, n_layer, vocab_size, which DNA-xLSTM always"),
        ("dna", {"config": {"d_model": 40}}, "model_config.json does not state n_layer, vocab_size, which"),
        ("dna", DNA | {"d_model": None}, "model_config.json does not state d_model, which DNA-xLSTM always writes"),
        ("protein", {}, "does not state num_blocks, embedding_dim, vocab_size, position_embeddings, which Prot-xLSTM"),
        ("protein", PROTEIN | {"position_embeddings": None}, "does not state position_embeddings, which Prot-xLSTM"),
        ("chem", {}, "init_arguments.json does not state model_dim, n_layers, which Chem-xLSTM always writes"),
        ("chem", {"model_dim": 40, "n_layers": 3}, "does not state token2label, which Chem-xLSTM always writes"),
        ("large", {}, "config.yaml does not state embedding_dim, num_heads, num_blocks, vocab_size, which xLSTM-large"),
        ("large", {"vocab_size": 50}, "does not state embedding_dim, num_heads, num_blocks, which xLSTM-large always"),
        ("hub", {}, "does not state hidden_size or embedding_dim, num_hidden_layers or num_blocks, num_heads, which"),
    ),
)  # fmt: skip
def test_settings_that_say_nothing_are_refused(
    program: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    refused(written(program, tmp_path / "a", settings), message)


SIZES = {"d_model": 40, "n_layer": 2, "vocab_size": 12}


@pytest.mark.parametrize(
    ("program", "settings", "assumed"),
    (
        ("dna", DNA, ""),
        ("dna", SIZES, "bidirectional = false, m_position_embeddings = false, m_conv1d_causal = true"),
        ("dna", DNA | {"bidirectional": None}, "bidirectional = false"),
        ("dna", SIZES | {"bidirectional": True},
         "bidirectional_alternating = false, m_backend_bidirectional = false, m_position_embeddings = false, "
         "m_conv1d_causal = true"),
        ("dna", DNA | {"bidirectional": True, "m_backend_bidirectional": True, "m_backend": None},
         "m_backend = parallel"),
        ("dna", DNA | {"m_backend_bidirectional": True, "m_backend": None}, ""),
        ("protein", PROTEIN, "rope_base_frequency = 10000.0, max_position_embeddings = 2048"),
        ("protein", PROTEIN | {"position_embeddings": "rot_2d"},
         "rope_base_frequency = 10000.0, max_position_embeddings = 2048, max_seq_position_embeddings = 512"),
        ("protein", PROTEIN | {"position_embeddings": "none"}, ""),
        ("chem", {"model_dim": 40, "n_layers": 3, "token2label": {"[BEG]": 0, "[END]": 1}}, "mode = smiles"),
        ("large", LARGE, "norm_eps = 1e-06, gate_soft_cap = 15.0, output_logit_soft_cap = 30.0"),
        ("large", LARGE | {"norm_eps": 1e-6, "gate_soft_cap": None, "output_logit_soft_cap": 30.0}, ""),
        ("hub", HUB | {"gate_soft_cap": 15.0}, "norm_eps = 1e-06, output_logit_soft_cap = 30.0"),
    ),
)  # fmt: skip
def test_what_is_assumed_is_noted(
    program: str, settings: dict[str, Any], assumed: str, tmp_path: Path
) -> None:
    made = convert(written(program, tmp_path / "a", settings), tmp_path / "model")
    found = [note.partition(" does not say: ")[2] for note in made.notes if note.startswith("assumed, as ")]
    assert found == ([assumed] if assumed else [])
    assert all(note in (tmp_path / "model" / "README.md").read_text() for note in made.notes)


def test_the_blocks_that_are_there_decide_what_is_assumed(tmp_path: Path) -> None:
    weights = v1_weights(blocks=2, slstm_at=(0, 1), dtype=F32)
    made = convert(write_dna(tmp_path / "a", weights, SIZES | {"bidirectional": True}), tmp_path / "model")
    wanted = "bidirectional_alternating = false, s_conv1d_causal = true"
    assert made.notes == (f"assumed, as model_config.json does not say: {wanted}",)


def test_a_tokenizer_stands_for_the_table_of_symbols(tmp_path: Path) -> None:
    source = written("chem", tmp_path / "a", {"model_dim": 40, "n_layers": 3})
    table = {"[BEG]": 0, "[END]": 1, "C": 2}
    other = written("chem", tmp_path / "b", {"model_dim": 40, "n_layers": 3, "token2label": table})
    convert(other, tmp_path / "other")
    made = convert(source, tmp_path / "model", tokenizer=tmp_path / "other")
    assert made.config == convert(other, tmp_path / "again").config
