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


def test_molecules_are_read(load: Load) -> None:
    sets = load("molecule_sets")
    found = sets.read_molecules(["OCC", "C1CC", "", "F[C@H](Cl)c1ccccc1"])
    assert found[1] is None and found[2] is None
    assert found[0] == ("CCO", "CCO", "")
    assert found[3].scaffold == "c1ccccc1" and "@" in found[3].canonical and "@" not in found[3].flat
    assert sets.flat_forms(["F[C@H](Cl)Br", "F[C@@H](Cl)Br", "C1CC"]) == {"FC(Cl)Br"}


def test_internal_diversity_is_that_of_all_pairs(load: Load) -> None:
    sets = load("molecule_sets")
    smiles = ["CCO", "CCN", "c1ccccc1", "CC(=O)O", "c1ccncc1O"]
    prints = sets.fingerprints(smiles)
    pairs = [(a, b) for n, a in enumerate(prints) for b in prints[:n]]
    wanted = 1 - np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs])
    assert sets.internal_diversity(prints, rows=2) == pytest.approx(wanted, abs=1e-6)
    assert np.isnan(sets.internal_diversity(prints[:1]))
    assert sets.fingerprints(["CCCCCC"], counts=True).max() > 1


def test_the_distance_is_frechets(load: Load) -> None:
    sets = load("molecule_sets")
    rng = np.random.default_rng(0)
    one, other = (sets.Activations.of(rng.normal(size=(40, 6)) * scale + 1) for scale in (1.0, 2.0))
    assert sets.frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert sets.frechet_distance(one, other) == pytest.approx(sets.frechet_distance(other, one))
    # of uncorrelated variates: means apart, and standard deviations apart
    a = sets.Activations(np.array([1.0, 0.0]), np.diag([4.0, 9.0]), 2)
    b = sets.Activations(np.array([0.0, 2.0]), np.diag([1.0, 16.0]), 2)
    assert sets.frechet_distance(a, b) == pytest.approx(1 + 4 + (2 - 1) ** 2 + (3 - 4) ** 2)


def test_the_distance_of_chemnet_is_fcd(load: Load) -> None:
    fcd = pytest.importorskip("fcd")
    sets = load("molecule_sets")
    one = ["C" * n + "O" for n in range(1, 30)]
    other = ["C" * n + "N" for n in range(1, 30)]
    found = sets.frechet_distance(sets.chemnet(one), sets.chemnet([*other, "C" * 400]))
    assert found == pytest.approx(fcd.get_fcd(one, other, device="cpu"), rel=1e-3)


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
