"""Losses are those of the model, on the part they are said to be of."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.tasks.pretrain.packing import IGNORED, PackedBatch
from bio_xlstm.tokenizers import TOKENIZERS

Run = Callable[..., str]

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


@pytest.mark.parametrize("objective", ("causal", "masked", "infill"))
def test_losses_are_those_of_the_model(shop: Any, run: Run, tmp_path: Path, objective: str) -> None:
    family, letters, kind = (
        ("protein", RESIDUES, "protein") if objective == "infill" else ("dna", "ACGT", "dna")
    )
    model_lines = f'family = "{family}"\nobjective = "{objective}"'
    direction = {"direction": "shared"} if objective == "masked" else {}
    model = shop.model(family, objective=objective, **direction)
    shop.fasta("s.fasta", 40, letters, 20)
    shop.fasta("o.fasta", 6, letters, 20, seed=9)
    domains = shop.domain("known", "s.fasta", held_out=0.1, test=0.3) + shop.domain(
        "unseen", "o.fasta", test=1.0
    )
    recipe = shop.recipe(kind, model_lines, domains)
    where = ("--data", tmp_path, "--cache", tmp_path / "cache", "--json", tmp_path / "r.json")
    text = run("perplexity", model, recipe, *where)
    kept = json.loads((tmp_path / "r.json").read_text())
    rows = {row["domain"]: row for row in kept["rows"]}
    assert kept["part"] == "test" and list(rows) == ["known", "unseen"]
    assert rows["unseen"]["unigram_own"] is None and "| - |" in text
    assert ("markov_all" in rows["known"]) == (objective != "masked")
    assert ("filled" in rows["known"]) == (objective == "infill")
    assert ("A Markov model sees only one side" in text) == (objective == "masked")
    if objective == "causal":
        loaded, total, count = bx.load(str(model)), 0.0, 0
        for line in (tmp_path / "o.fasta").read_text().splitlines()[1::2]:
            ids = [loaded.tokenizer.start, *loaded.tokenizer.encode(line), loaded.tokenizer.stop]
            logprobs = loaded(torch.tensor([ids[:-1]])).logits[0].detach().log_softmax(-1)
            total -= float(logprobs[range(len(ids) - 1), ids[1:]].sum())
            count += len(ids) - 1
        assert rows["unseen"]["tokens"] == count
        assert rows["unseen"]["model"] == pytest.approx(total / count, rel=1e-5)


def test_a_recipe_without_a_test_part_says_so(shop: Any, run: Run, tmp_path: Path) -> None:
    shop.fasta("d.fna", 20, "ACGT", 20)
    recipe = shop.recipe("dna", 'family = "dna"', shop.domain("known", "d.fna", held_out=0.3))
    where = ("--data", tmp_path, "--cache", tmp_path / "cache")
    assert "the held-out part, which was looked at while choosing" in run(
        "perplexity", "none", recipe, *where
    )
    with pytest.raises(SystemExit, match="keeps nothing for its test part"):
        run("perplexity", "none", recipe, *where, "--part", "test")


def test_of_hidden_spans_the_residues_count_alone(load: Callable[[str], ModuleType]) -> None:
    tokenizer = TOKENIZERS["protein"]()
    index = tokenizer.vocabulary.index
    symbols = ["M", "<eos>", "<mask-1>", "K", "L", "<mask-2>", "V", "<cls>"]
    targets = np.array([[IGNORED, *(index[symbol] for symbol in symbols)]])
    nothing = np.zeros_like(targets)
    batch = PackedBatch(nothing, targets, np.array([0, 9]), nothing, nothing.astype(np.float32), 1.0)
    asked = load("perplexity")._residues(batch, tokenizer).targets[0]
    assert [tokenizer.vocabulary.symbols[i] for i in asked[asked != IGNORED]] == ["M", "K", "L", "V"]
