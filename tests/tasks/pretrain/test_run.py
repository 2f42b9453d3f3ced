"""Whole runs of tiny models of every kind: they learn, and end with a model directory that says how."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import bio_xlstm
from bio_xlstm.errors import BioXlstmError
from bio_xlstm.tasks.pretrain.log_table import read_rows
from bio_xlstm.tasks.pretrain.run import pretrain
from bio_xlstm.tasks.pretrain.settings import parse_recipe

MakeRecipe = Callable[..., Any]


def test_a_tiny_model_memorises_eight_molecules(data: Path, recipe: MakeRecipe, molecules: list[str]) -> None:
    settings = recipe(steps=80, batch_tokens=64, warmup=10, validate_every=200, checkpoint_every=200)
    result = pretrain(settings, data, data / "out")
    assert result.written and result.steps == 80
    model = bio_xlstm.load(data / "out")
    tokenizer = model.tokenizer
    for molecule in molecules:
        ids = torch.tensor([[tokenizer.start, *tokenizer.encode(molecule).tolist()]])
        predicted = model(ids).logits.argmax(-1)[0].tolist()
        # the first token cannot be known; after two the molecule is
        assert predicted[3:] == [*ids[0, 4:].tolist(), tokenizer.stop][: len(predicted[3:])]


def test_time_that_is_up_ends_the_run_with_a_model(data: Path, recipe: MakeRecipe) -> None:
    result = pretrain(recipe(max_minutes=1e-6), data, data / "out")
    assert result.written and result.steps == 1
    assert bio_xlstm.load(data / "out").config.family == "chem"


def test_the_card_names_data_licences_training_and_quality(data: Path, recipe: MakeRecipe) -> None:
    pretrain(recipe(), data, data / "out")
    card = (data / "out" / "README.md").read_text()
    for part in ("# tiny", "m.smi", "none needed", "8 steps", "| unseen |", "perplexity"):
        assert part in card


def test_the_card_says_how_the_model_reads(data: Path, recipe: MakeRecipe) -> None:
    pretrain(recipe(steps=1, model={"slstm_at": [0]}), data, data / "out")
    card = (data / "out" / "README.md").read_text()
    assert "1 sLSTM block, 2 heads. It reads from left to right, and predicts the next token." in card


def test_test_data_are_looked_at_once_at_the_end(data: Path, recipe_table: MakeRecipe) -> None:
    table = recipe_table(steps=3)
    table["data"]["domains"][1] |= {"held_out": 0.5, "test": 0.5}
    result = pretrain(parse_recipe(table), data, data / "out")
    assert set(result.validation) == set(result.test) == {"unseen"}
    assert result.test["unseen"] != result.validation["unseen"]
    card = (data / "out" / "README.md").read_text()
    assert "| domain | held out: nats per token | perplexity | test: nats per token | perplexity |" in card
    assert f"| {result.test['unseen']:.4f} |" in card


def test_a_model_that_was_not_written_after_the_last_step_is_written_now(
    data: Path, recipe: MakeRecipe
) -> None:
    first = pretrain(recipe(), data, data / "out")
    names = ("model.safetensors", "README.md", "config.json")
    before = [(data / "out" / name).read_bytes() for name in names]
    for name in names:
        (data / "out" / name).unlink()
    assert pretrain(recipe(), data, data / "out") == first
    assert [(data / "out" / name).read_bytes() for name in names] == before


def test_the_log_holds_training_and_held_out_numbers(data: Path, recipe: MakeRecipe) -> None:
    result = pretrain(recipe(), data, data / "out")
    rows = read_rows(data / "out" / "training" / "log" / "metrics.csv")
    assert [row["step"] for row in rows] == ["2", "3", "4", "6", "8"]
    assert [row["step"] for row in rows if row["perplexity_unseen"]] == ["3", "6", "8"]
    last = rows[-1]
    assert float(last["nats_unseen"]) == result.validation["unseen"]
    assert float(last["learning_rate"]) < float(rows[0]["learning_rate"])
    assert all(float(last[name]) > 0 for name in ("loss", "gradient_norm", "tokens_per_second"))
    # nothing is held out of this domain
    assert last["perplexity_known"] == ""


@pytest.mark.parametrize(
    "model",
    [
        {"slstm_at": [0], "dropout": 0.1},
        {"block": "post_up"},
        {"family": "dna", "objective": "masked", "direction": "alternating", "blocks": 2},
        {"family": "dna", "objective": "masked", "direction": "shared", "reverse_complement": "equivariant"},
        {"family": "protein", "rotary": "inner"},
        {"family": "protein", "objective": "infill", "position_embedding": "learned"},
    ],
    ids=lambda model: "-".join(map(str, model.values())),
)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_every_kind_of_model_trains(
    data: Path, recipe_table: MakeRecipe, model: dict[str, Any], precision: str
) -> None:
    table = recipe_table(model=model, precision=precision, accumulate=2, checkpoint_blocks=True, steps=3)
    kinds = {"dna": ("dna", "ACGTTGCCAGT"), "protein": ("protein", "MKTAYIAK")}
    kind, letters = kinds.get(table["model"]["family"], ("smiles", ""))
    table["data"]["kind"] = kind
    if letters:
        for name, text in (("m", letters), ("other", letters[::-1])):
            lines = (f">{n}\n{text[n % 4 :]}{text[: n % 3]}{text}" for n in range(12))
            (data / f"{name}.fasta").write_text("\n".join(lines) + "\n")
        for domain, name in zip(table["data"]["domains"], ("m", "other"), strict=True):
            domain["files"] = [f"{name}.fasta"]
    result = pretrain(parse_recipe(table), data, data / "out")
    assert result.written and 0 < result.validation["unseen"] < 6
    assert all(torch.isfinite(p).all() for p in bio_xlstm.load(data / "out").parameters())


def test_batches_from_other_processes_are_the_same(
    data: Path, recipe: MakeRecipe, assert_same: Callable[..., None]
) -> None:
    pretrain(recipe(steps=3), data, data / "one")
    pretrain(recipe(steps=3, workers=2), data, data / "other")
    assert_same(data / "one", data / "other")


@pytest.mark.parametrize("steps", [1, 5])
def test_a_run_that_comes_apart_keeps_nothing_of_it(data: Path, recipe: MakeRecipe, steps: int) -> None:
    # the first step makes weights of 1e30, and its own loss is still that of the weights before it
    with pytest.raises(
        BioXlstmError, match=r"the loss is (nan|inf) at step 1: the run has come apart.*lower learning_rate"
    ):
        pretrain(
            recipe(steps=steps, learning_rate=1e30, clip=0.0, warmup=0, checkpoint_every=1),
            data,
            data / "out",
        )
    assert not (data / "out" / "training" / "last.ckpt").exists()
    assert not (data / "out" / "model.safetensors").exists()
