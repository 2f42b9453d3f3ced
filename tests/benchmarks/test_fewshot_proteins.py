"""The benchmark on scans of single mutants: scans chosen, methods run, the table written."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import bio_xlstm as bx

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
WILD = "MKTAYIAKQRQISFVKSHFSRQLE"


def packed(path: Path, lines: list[str]) -> None:
    """Write a compressed file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt") as file:
        file.write("\n".join(lines) + "\n")


def scan(seed: int) -> list[tuple[str, str, float]]:
    """List all single mutants of the wild type with what their position does."""
    effects = np.random.default_rng(seed).normal(size=len(WILD))
    return [
        (f"{wild}{place + 1}{letter}", f"{WILD[:place]}{letter}{WILD[place + 1 :]}", effects[place])
        for place, wild in enumerate(WILD)
        for letter in LETTERS
        if letter != wild
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write one scan of each form, a second one of a protein, and one that is too small."""
    folder = tmp_path / "protein_assays"
    rows = [f"{mutant},{text},{value},1" for mutant, text, value in scan(0)]
    double = f"M1A:K2A,AA{WILD[2:]},0.5,1"
    head = "mutant,mutated_sequence,DMS_score,DMS_score_bin"
    packed(folder / "proteingym_v1" / "AAA_HUMAN_One.csv.xz", [head, *rows, double])
    names = {"BBB_YEAST_Two": scan(1), "BBB_YEAST_Three": scan(2), "CCC_ECOLI_Four": scan(3)[:50]}
    singles = [f"{name},{mutant},{value}" for name, some in names.items() for mutant, _, value in some]
    packed(folder / "proteingym_singles.csv.xz", ["dms_id,mutant,score", *singles])
    packed(folder / "proteingym_singles_wt.fasta.xz", [f">{name}\n{WILD}" for name in names])
    return tmp_path


def test_scans_are_chosen(load: Callable[[str], ModuleType], data: Path) -> None:
    """Singles alone, one scan per protein, those that are large enough, no more mutants than asked for."""
    found = list(load("fewshot_protein_scans").read_scans(data / "protein_assays", 420))
    assert [one.name for one in found] == ["AAA_HUMAN_One", "BBB_YEAST_Three"]
    for one in found:
        assert len(one.mutants) == len(one.values) == 420 and one.wild == WILD
        known = {mutant: text for mutant, text, _ in scan(0)}
        assert one.sequences == [known[mutant] for mutant in one.mutants]


def test_neighbours_share_positions(load: Callable[[str], ModuleType]) -> None:
    """The nearest of equal distance are averaged."""
    known, asked = np.array([[0, 1], [0, 2], [3, 0]]), np.array([[0, 5], [3, 9]])
    found = load("fewshot_protein_methods").neighbours(known, np.array([1.0, 3.0, 8.0]), asked)
    assert found.tolist() == [2.0, 8.0]


def test_a_table_is_written(run: Callable[..., str], data: Path, tmp_path: Path) -> None:
    bx.build("protein", dim=16, blocks=1, heads=2, seed=0).save(tmp_path / "model")
    results, options = tmp_path / "r.json", ("--draws", 1, "--mutants", 400, "--model", tmp_path / "model")
    text = run("fewshot_proteins", "--data", data, "--results", results, *options)
    assert "AAA_HUMAN_One: {'in-context'" in text and "2 scans, 1 draws" in text
    found = json.loads(results.read_text())
    # effects are those of positions: a quarter of which 16 examples see, all of which 256 do
    reached = found["scans"]["AAA_HUMAN_One"]["spearman"]["in-context"]
    assert reached["256"] > 0.8 > reached["16"]
    assert 0.7 < found["scans"]["AAA_HUMAN_One"]["coverage"]["256"] <= 1
    # what is there is not measured again, and goes into a document
    again = run("fewshot_proteins", "--data", data, "--results", results, *options)
    assert "AAA_HUMAN_One: {" not in again
    (tmp_path / "d.md").write_text(
        "<!-- measured: fewshot-proteins -->\n<!-- end of measured: fewshot-proteins -->\n"
    )
    run("fewshot_proteins", "--results", results, "--document", tmp_path / "d.md")
    assert "| in-context (ours) | 0." in (tmp_path / "d.md").read_text()


def test_typical_effects_are_of_other_proteins(run: Callable[..., str], tmp_path: Path) -> None:
    """Means of standardised scans of long proteins alone, drawn towards nothing."""
    folder, long = tmp_path / "protein_assays", WILD * 13
    packed(folder / "proteingym_v1" / "AAA_HUMAN_One.csv.xz", ["mutant,mutated_sequence,DMS_score",
           *(f"{mutant},{text},{value}" for mutant, text, value in scan(0))])  # fmt: skip
    mutants = [
        f"{wild}{place + 1}{letter}"
        for place, wild in enumerate(WILD)
        for letter in LETTERS
        if letter != wild
    ]
    singles = [f"LONG_ECOLI_Two,{mutant},{0 if mutant.endswith('P') else 1}" for mutant in mutants]
    packed(folder / "proteingym_singles.csv.xz", ["dms_id,mutant,score", *singles])
    packed(folder / "proteingym_singles_wt.fasta.xz", [f">LONG_ECOLI_Two\n{long}"])
    target = tmp_path / "effects.csv"
    printed = run("typical_effects", "--data", tmp_path, "--out", target)
    assert "LONG_ECOLI_Two" in printed and "AAA_HUMAN_One" not in printed
    rows = {
        line.split(",")[0] + line.split(",")[1]: line.split(",")[2:]
        for line in target.read_text().split()[1:]
    }
    assert len(rows) == 380 and rows["WP"] == ["0.000", "0"]
    count = WILD.count("Q")
    share = len([one for one in singles if one.endswith(",0")]) / len(singles)
    standard = -share / np.sqrt(share * (1 - share)), (1 - share) / np.sqrt(share * (1 - share))
    assert float(rows["QP"][0]) == pytest.approx(-standard[1] * count / (count + 5), abs=1e-3)
    assert float(rows["QA"][0]) == pytest.approx(-standard[0] * count / (count + 5), abs=1e-3)
