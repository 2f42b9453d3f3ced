"""What is read before a protein is of its family, and nothing of it leaks."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import bio_xlstm as bx

Run = Callable[..., str]
Load = Callable[[str], ModuleType]

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def test_likeness_finds_what_is_contained(load: Load) -> None:
    likeness = load("homologs").likeness
    rng = np.random.default_rng(0)
    one = rng.integers(0, 20, 60)
    assert likeness(one, one) == likeness(one, one[10:40]) == 1.0
    changed = one.copy()
    changed[::10] += 1
    assert likeness(one, np.insert(changed, 7, 3)) == pytest.approx(54 / 60, abs=0.04)
    assert likeness(one, rng.integers(0, 20, 60)) < 0.6


def test_no_context_holds_the_protein_or_its_double(load: Load) -> None:

    homologs = load("homologs")
    rng = np.random.default_rng(0)
    members = [rng.integers(0, 20, 50) for _ in range(12)]
    double = members[0].copy()
    double[-1] = 25
    # one residue of fifty is another: exactly 98 % is still read, more is not
    family = homologs.Family("one", [*members, members[0], members[0][:40], double], np.ones(15))
    other = homologs.Family("other", [rng.integers(0, 20, 30) for _ in range(4)], np.ones(4))
    options = argparse.Namespace(sizes=(0, 1, 5), proteins=15, seed=0, longest=100)
    cases = list(homologs.make_cases([family, other], options))
    assert {case.family for case in cases} == {0} and len(cases) == 15
    for case in cases:
        assert len(case.homologs) == 5
        assert all(homologs.likeness(case.target, one) <= 0.98 for one in case.homologs)
        assert all(any(one is stranger for one in other.members) for stranger in case.strangers)
    # nothing is left out of the context of a protein that is like no other
    options.sizes = (0, 14)
    full = [case.target for case in homologs.make_cases([family, other], options)]
    assert len(full) == 11 and all(any(one is target for one in members[1:]) for target in full)


def test_a_context_is_read_before_the_protein(load: Load) -> None:
    model = bx.build("protein", dim=32, blocks=2, heads=2, rotary="head").eval()
    encode, start = model.tokenizer.encode, model.tokenizer.start
    target, context = encode("MKTAY"), [encode("MKV"), encode("GG")]
    tokens = torch.tensor([[start, *context[0], start, *context[1], start, *target]])
    logprobs = model(tokens).logits[0, -6:-1].detach().log_softmax(-1)
    wanted = -float(logprobs[range(5), target.tolist()].mean())
    assert load("homologs").read_after(model, target, context) == pytest.approx(wanted, rel=1e-5)


def test_families_are_measured(shop: Any, run: Run, tmp_path: Path) -> None:
    model = shop.model("protein")
    for name, seed in (("a", 1), ("b", 2)):
        shop.fasta(f"{name}.fasta", 8, RESIDUES, 20, seed)
    files = [tmp_path / f"{name}.fasta" for name in "ab"]
    text = run(
        "homologs",
        model,
        "--families",
        *files,
        "--sizes",
        "0,1,4",
        "--proteins",
        2,
        "--json",
        tmp_path / "r.json",
    )
    kept = json.loads((tmp_path / "r.json").read_text())
    assert [row["homologs"] for row in kept["rows"]] == ["0", "1", "4", "strangers"]
    assert (kept["families"], kept["proteins"], kept["part"]) == (["a", "b"], 4, "files")
    assert "may have been trained on" in text and "4 proteins of other families" in text
    with pytest.raises(SystemExit, match="no family has 40 homologs"):
        run("homologs", model, "--families", *files, "--sizes", "0,40")


def test_families_of_a_recipe_are_those_held_out(shop: Any, run: Run, tmp_path: Path) -> None:
    model = shop.model("protein")
    for number in range(6):
        shop.fasta(f"f{number}.fasta", 6, RESIDUES, 12, number)
    domains = shop.domain("families", "f*.fasta", sets="file", held_out=0.2, test=0.6)
    recipe = shop.recipe("protein", 'family = "protein"', domains, "families")
    where = ("--data", tmp_path, "--cache", tmp_path / "cache", "--json", tmp_path / "r.json")
    run("homologs", model, recipe, *where, "--sizes", "0,2", "--proteins", 1)
    kept = json.loads((tmp_path / "r.json").read_text())
    assert kept["part"] == "test" and 1 < len(kept["families"]) < 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    ((("--sizes", "1,0"), "must rise"), ((), "name a recipe with --data and --cache, or families by file")),
)
def test_homologs_need_families_and_sizes(
    run: Run, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("homologs", "protein-small", *arguments)
    assert message in capsys.readouterr().err


def test_only_causal_models_of_proteins_read_homologs(shop: Any, run: Run) -> None:
    with pytest.raises(SystemExit, match="tiny is no causal model of proteins"):
        run("homologs", shop.model("chem"), "--families", "a.fasta")


def test_a_recipe_without_families_says_so(shop: Any, run: Run, tmp_path: Path) -> None:
    shop.fasta("p.fasta", 20, RESIDUES, 12)
    recipe = shop.recipe("protein", 'family = "protein"', shop.domain("p", "p.fasta", held_out=0.3))
    with pytest.raises(SystemExit, match="the recipe holds no set of proteins out of training"):
        run("homologs", shop.model("protein"), recipe, "--data", tmp_path, "--cache", tmp_path / "cache")
