"""The benchmark of few-shot prediction: what is asked stands beside what was measured, and nothing else."""

import json
import lzma
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
import torch

from bio_xlstm.in_context import process
from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.tasks.in_context import build

Run = Callable[..., str]
Load = Callable[[str], ModuleType]
METHODS = "neighbours,gaussian-process"
HEAD = "assay_id\tsmiles\tproperty\tlog_regression_property\trelation"
ENDS = ["O", "N", "C(=O)O", "F", "Cl", "S"]


def packed(path: Path, lines: list[str]) -> None:
    """Write a compressed table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt") as file:
        file.write("\n".join(lines) + "\n")


def chains(longest: int, say: Callable[[int, str], tuple[bool, str]]) -> list[str]:
    """Write two assays of chains with different ends: `say` tells class and relation; the number is the length."""
    found = []
    for name, size, end in product("AB", range(1, longest + 1), ENDS):
        positive, relation = say(size, end)
        found.append(f"{name}\t{'C' * size}{end}\t{int(positive)}.0\t{size}.0\t{relation}")
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write a small FS-Mol with published numbers."""
    rows = chains(8, lambda size, end: (end in "ON", "="))
    packed(tmp_path / "mol_assays" / "fsmol_valid.tsv.xz", [HEAD, *rows])
    groups = ["chembl_id,EC_super_class_name", "A,hydrolase", "B,lyase"]
    packed(tmp_path / "mol_assays" / "fsmol_valid_proteins.csv.xz", groups)
    sizes = ",".join(f"{size}_train" for size in (16, 32, 64, 128, 256))
    published = [
        f"TASK_ID,fraction_positive_test,{sizes}",
        "X,0.4,0.5+/-0.1,0.6+/-0.1,,,",
        "Y,0.5,0.8+/-0.1,0.7,,,",
    ]
    packed(tmp_path / "reference" / "fsmol_baseline_kNN.csv.xz", published)
    return tmp_path


def test_molecules_of_both_folds_are_counted(run: Run, tmp_path: Path) -> None:
    head = "assay_id\tsmiles"
    packed(tmp_path / "mol_assays" / "fsmol_train.tsv.xz", [head, "T\tCCO", "T\tC[C@H](N)O", "T\tc1ccccc1"])
    known = ["A\tOCC", "A\tC[C@@H](N)O", "B\tCCN", "B\tCCO", "C\tCCF"]
    packed(tmp_path / "mol_assays" / "fsmol_valid.tsv.xz", [head, *known])
    printed = run("fewshot_overlap", "--data", tmp_path)
    assert (
        "Of the 4 molecules of the validation fold, 2 (50%) stand in training assays; of its 3 assays, 1 "
        in printed
    )


def test_parts_of_prints_are_compared_on_the_same_draws(run: Run, tmp_path: Path) -> None:
    """All forms solve the same supports; what is kept is enough for the document."""
    rows = chains(20, lambda size, end: (size > 8, "<" if size == 20 else "="))
    small = [f"C\t{'C' * size}\t1.0\t\t=" for size in range(1, 9)]
    packed(tmp_path / "mol_assays" / "fsmol_train.tsv.xz", [HEAD, *rows, "A\tC1CC\t0.0\t1.0\t=", *small])
    printed = run("fewshot_prints", "--data", tmp_path, "--results", tmp_path / "kept")
    assert "A: 120 molecules" in printed and "C:" not in printed
    whole, plain = (
        next(line.split(" | ") for line in printed.splitlines() if line.startswith(f"| {name}"))
        for name in ("as it is", "without a constant")
    )
    assert float(whole[1]) > 0.3 and float(whole[-1].strip(" |")) > 0.5, "chains rank by their length"
    assert "(" in plain[1]
    (tmp_path / "d.md").write_text(
        "<!-- measured: fewshot-prints -->\n<!-- end of measured: fewshot-prints -->\n"
    )
    run("fewshot_prints", "--results", tmp_path / "kept", "--document", tmp_path / "d.md")
    assert "| topological torsions | " in (tmp_path / "d.md").read_text()


def test_tables_come_from_what_was_measured(run: Run, data: Path, tmp_path: Path) -> None:
    words = ["--results", tmp_path / "results", "--methods", METHODS, "--seeds", 2]
    printed = run("fewshot", "--data", data, "--only", "fsmol", "--only", "fsmol-numbers", *words)
    kept = json.loads((tmp_path / "results" / "fsmol.neighbours.json").read_text())
    (row,) = [one for one in kept["results"] if (one["method"], one["support"], one["metric"], one["group"])
              == ("neighbours", 16, "delta_auprc", "")]  # fmt: skip
    assert f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})" in printed
    assert "| kNN | 0.200 | 0.200 | not measured |" in printed
    assert "| hydrolase (1) |" in printed
    for folds in ("none of the molecules", "the official folds"):
        assert f"| ΔAUC-PR of 0.22 at support 16, trained on {folds} | not measured |  |" in printed
    assert "## MoleculeACE: numbers, with activity cliffs" in printed
    before = (tmp_path / "results" / "fsmol.neighbours.json").read_bytes()
    document = tmp_path / "d.md"
    document.write_text("a\n<!-- measured: fewshot -->\nold\n<!-- end of measured: fewshot -->\nb\n")
    run("fewshot", "--data", data, "--only", "fsmol", *words, "--document", document)
    assert (tmp_path / "results" / "fsmol.neighbours.json").read_bytes() == before
    text = document.read_text()
    assert printed.strip() in text
    assert "\nold\n" not in text
    assert "baselines alone" in text


def test_files_of_several_methods_make_one_table(load: Load, tmp_path: Path) -> None:
    """The learner goes first; a file of other draws is no part of it."""
    fewshot = load("fewshot")

    def write(stem: str, method: str, seeds: list[int]) -> None:
        content = {
            "seeds": seeds,
            "methods": {method: ""},
            "seconds": {method: 1.0},
            "results": [method],
            "assays": [],
        }
        (tmp_path / f"{stem}.json").write_text(json.dumps(content))

    assert fewshot.joined(tmp_path, "fsmol") is None
    write("fsmol.forest", "forest", [0, 1])
    write("fsmol.linear", "linear", [0])
    write("fsmol.learner", "in-context", [0, 1])
    write("fsmol-numbers.learner", "other", [0, 1])
    found = fewshot.joined(tmp_path, "fsmol")
    assert found["results"] == ["in-context", "forest"]
    assert list(found["methods"]) == ["in-context", "forest"]


def test_demands_are_judged(load: Load) -> None:
    """A method that is ahead, but not surely, reaches what asks for a mean alone."""
    report = load("fewshot_report")
    each = {
        "in-context": [0.3, 0.2, 0.25],
        "prior": [0.1, 0.12, 0.1],
        "permuted": [0.09, 0.1, 0.1],
        "forest": [0.2, 0.22, 0.1],
    }
    rows = [
        {"assay": str(place), "support": 16, "method": name, "delta_auprc": value}
        for name, values in each.items()
        for place, value in enumerate(values)
    ]
    results = [
        {
            "method": name,
            "support": 16,
            "metric": "delta_auprc",
            "group": "",
            "minus": "",
            "value": sum(values) / 3,
        }
        for name, values in each.items()
    ]
    found = {"fsmol": {"results": results, "assays": rows, "methods": each}}
    official = {
        "assays": [{"method": "in-context", "support": 64, "delta_auprc": value} for value in (0.2, 0.3)]
    }
    text = report.asked(found, None, official)
    assert "| 0.250; best baseline forest 0.173; ahead by +0.077 (" in text
    lines = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in text.splitlines()}
    assert lines["ΔAUC-PR of 0.22 at support 16, trained on none of the molecules"] == "yes"
    assert lines["clearly above its own prior at support 16"] == "yes"
    assert lines["permuted labels bring it to the prior or below at support 16"] == "yes"
    assert lines["ΔAUC-PR of 0.29 at support 64, trained on none of the molecules"] == ""
    assert lines["ΔAUC-PR of 0.22 at support 16, trained on the official folds"] == ""
    assert lines["ΔAUC-PR of 0.29 at support 64, trained on the official folds"] == "no"


def test_a_state_has_a_bound(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    for place, name in ((process, "SLOTS"), (build, "MOST_KEPT"), (load("fewshot_report"), "SLOTS")):
        monkeypatch.setattr(place, name, 40)
    monkeypatch.setattr(load("fewshot_library"), "SUPPORTS", (16, 30, 40, 1024))
    learner = InContextModel(InContextConfig(bits=64, hidden=32, dim=16, blocks=1, heads=2)).eval()
    threads = torch.get_num_threads()
    found = load("fewshot_library").measure_library(learner, 5000, threads)
    assert [state["support"] for state in found["states"]] == [16, 30, 40, 1024]
    sizes = [state["bytes"] for state in found["states"]]
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]
    text = load("fewshot_report").asked({}, found, None)
    lines = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in text.splitlines()}
    assert lines["state size independent of the support; 1,000 examples work"] == "no"
    assert lines["a bound that no support exceeds"] == "yes"
    assert all(state["score_s"] > 0 for state in found["states"])


def test_the_token_level_form_is_trained_and_asked(run: Run, tmp_path: Path) -> None:
    """Both forms answer the same draws; what was kept fills a document without measuring again."""
    folder, sizes = tmp_path / "mol_assays", range(1, 16)
    head = "assay_id\tsmiles\tproperty\tlog_regression_property\trelation"
    for file, start in (("fsmol_train", ""), ("fsmol_valid", "Br")):
        rows = [
            f"{name}\t{start}{'C' * size}{end}\t{int(end in 'ON')}.0\t{size}.0\t="
            for name in ("A", "B")
            for size in sizes
            for end in ENDS
        ]
        names = {"A": f"{file}-A", "B": f"{file}-B"}
        packed(folder / f"{file}.tsv.xz", [head, *(names[row[0]] + row[1:] for row in rows)])
    packed(folder / "simpd_chembl_ki.csv.xz", ["name,canonical_smiles", "a,CCCO"])
    packed(folder / "moleculeace.csv.xz", ["name,smiles", "a,CCCN"])
    kept, document = tmp_path / "t.json", tmp_path / "d.md"
    printed = run("fewshot_tokens", "--data", tmp_path, "--steps", 2, "--seeds", 1, "--json", kept)
    found = json.loads(kept.read_text())
    assert {(row["form"], row["support"], row["assays"]) for row in found["rows"]} == {
        (form, size, 2) for form in ("token level", "set level") for size in (16, 64)
    }
    assert found["episodes"] == 8 and "8 episodes of 24 molecules" in printed
    document.write_text(
        "a\n<!-- measured: fewshot-tokens -->\nold\n<!-- end of measured: fewshot-tokens -->\n"
    )
    run("fewshot_tokens", "--json", kept, "--document", document)
    assert printed.strip() in document.read_text() and "old" not in document.read_text()


def test_the_official_folds_stand_beside_ours(run: Run, load: Load, tmp_path: Path, root: Path) -> None:
    from bio_xlstm.tasks.in_context.recipe import read_learner_recipe

    def rows(values: dict[str, list[float]]) -> list[dict[str, object]]:
        return [
            {"assay": name, "method": method, "support": size, "delta_auprc": value}
            for method, reached in values.items()
            for name, value in zip("ABC", reached, strict=True)
            for size in (16, 64)
        ]

    seen, unseen = (
        rows({"in-context": [0.4, 0.5, 0.1], "prior": [0.3, 0.3, 0.0]}),
        rows({"in-context": [0.2] * 3}),
    )
    folder = tmp_path / "fewshot-official"
    folder.mkdir()
    found = {"steps": 9000, "known": {"A": 1.0, "B": 0.95, "C": 0.2}, "assays": seen}
    (folder / "found.json").write_text(json.dumps(found))
    learner = {"seeds": [0], "methods": {}, "seconds": {}, "results": [], "assays": unseen}
    (tmp_path / "fsmol.learner.json").write_text(json.dumps(learner))
    plain = {**learner, "assays": rows({"gaussian-process": [0.1] * 3})}
    (tmp_path / "fsmol.gaussian-process.json").write_text(json.dumps(plain))
    printed = run("fewshot_official", "--results", tmp_path)
    assert "16: all (3) | 16: over 90% known (2) | 16: the others (1) | 64: all (3)" in printed
    ours = next(line for line in printed.splitlines() if "trained on the official folds" in line)
    assert [cell.split()[0] for cell in ours.split("|")[2:5]] == ["0.333", "0.450", "0.100"]
    assert "chem-icl, trained on none of the molecules | 0.200" in printed and "9,000 steps" in printed
    recipe = read_learner_recipe(root / "recipes" / "chem-icl.toml")
    asked = load("fewshot_official").official(recipe, 9000)
    assert asked.data.known_molecules and not recipe.data.known_molecules and asked.training.steps == 9000
