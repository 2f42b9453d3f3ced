"""Molecules are drawn, counted and compared as the page says."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx

Run = Callable[..., str]
Load = Callable[[str], ModuleType]


def test_molecules_are_drawn_and_described(
    shop: Any, run: Run, load: Load, molecules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = shop.model("chem")
    monkeypatch.setattr(load("molecules"), "has_chemnet", lambda: False)
    where = ("--data", tmp_path, "--cache", tmp_path / "cache", "--json", tmp_path / "r.json")
    options = ("-n", 12, "--slots", 5, "--longest", 8, "--samples", tmp_path / "drawn.smi")
    text = run("molecules", model, molecules, *where, *options)
    kept = json.loads((tmp_path / "r.json").read_text())
    assert "the package fcd is not installed (pip install" in text and kept["fcd"] is None
    assert kept["generated"]["drawn"] == 12 == len((tmp_path / "drawn.smi").read_text().split("\n")) - 1
    assert kept["part"] == "test" and 0 <= kept["generated"]["validity"] <= 1
    # another number of slots draws the same
    drawn = (tmp_path / "drawn.smi").read_text()
    run("molecules", model, molecules, *where, *options, "--slots", 2)
    assert (tmp_path / "drawn.smi").read_text() == drawn


def test_drawn_molecules_are_counted(load: Load) -> None:
    molecules, sample = load("molecules"), load("molecules").Sample
    texts = ["CCO", "OCC", "", "C1CC", "F[C@H](Cl)Br", "CCN"]
    samples = [sample(n, np.zeros(3), -1.0, text != "") for n, text in enumerate(texts)]
    found = molecules.describe(texts, samples, {"CCN", "FC(Cl)Br"})
    # two write ethanol, one is given up, one is no molecule; of three different ones two are known
    assert (found["validity"], found["uniqueness"], found["novelty"]) == (4 / 6, 3 / 4, 1 / 3)
    assert found["given_up"] == 1 and found["scaffolds"] == 0


def test_real_molecules_come_in_the_mixture_of_training(shop: Any, load: Load, tmp_path: Path) -> None:
    from bio_xlstm.tasks.pretrain.corpus import prepare
    from bio_xlstm.tasks.pretrain.settings import read_recipe

    (tmp_path / "a.smi").write_text("\n".join("C" * n for n in range(1, 120)))
    (tmp_path / "b.smi").write_text("\n".join("N" + "C" * n for n in range(1, 120)))
    domains = shop.domain("a", "a.smi", held_out=0.3) + shop.domain("b", "b.smi", held_out=0.3, weight=3.0)
    recipe = read_recipe(shop.recipe("smiles", 'family = "chem"', domains))
    corpus = prepare(recipe, tmp_path, tmp_path / "cache")
    real = load("molecules").real_molecules(
        recipe, corpus, bx.build("chem", dim=32, blocks=1, heads=2), 40, 0
    )
    amines = sum("N" in smiles for smiles in real.held_out)
    shown = [(corpus.train.domains == number).sum() * weight for number, weight in enumerate((1, 3))]
    assert amines / len(real.held_out) == pytest.approx(shown[1] / sum(shown), abs=0.1)
    assert real.part == "held_out" and not set(real.trained) & set(real.trained_too)


def test_only_causal_models_of_molecules_draw(shop: Any, run: Run, tmp_path: Path) -> None:
    model = shop.model("protein")
    with pytest.raises(SystemExit, match="no causal model of molecules"):
        run("molecules", model, "r.toml", "--data", tmp_path, "--cache", tmp_path)
