"""`bioxlstm evaluate fewshot` from the words of the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bio_xlstm.cli.main import run
from bio_xlstm.records.columns import COLUMNS
from bio_xlstm.tasks.assay.columns import RELATIONS
from bio_xlstm.tasks.fewshot.column_names import ASSAYS, CLASSES, GROUPS, NUMBERS

ENDS = ["O", "N", "C(=O)O", "F"]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that evaluates a small table of assays."""
    monkeypatch.chdir(tmp_path)
    rows = [f"A,{'C' * size}{end},{int(end in 'ON')},{size}.5" for size in range(1, 11) for end in ENDS]
    Path("assays.csv").write_text("\n".join(["assay_id,smiles,active,pchembl_value", *rows]) + "\n")

    def evaluate(*words: str) -> int:
        return run(["evaluate", "fewshot", "assays.csv", "--methods", "neighbours", "--seeds", "2", *words])

    return evaluate


def test_sizes_and_methods_are_lists(call: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--methods", "gaussian-process", "--support", "8,16", "--support", "12", "-o", "f.json"]
    assert call(*words) == 0
    found = json.loads(Path("f.json").read_text())
    assert list(found["methods"]) == ["neighbours", "gaussian-process"]
    assert {row["support"] for row in found["results"]} == {8, 12, 16}
    assert found["provenance"]["command"] == "evaluate fewshot"
    shown = capsys.readouterr()
    assert not shown.out
    assert "1 assay (assay_id) of active in 40 rows, 40 different molecules" in shown.err
    assert "neighbours" in shown.err
    assert call(*words) == 1
    assert "f.json exists; use --overwrite to replace it" in capsys.readouterr().err


def test_numbers_on_standard_output(call: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--task", "regression", "--support", "16", "-o", "-", "-q") == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert not shown.err
    assert (found["task"], found["columns"]["target"]) == ("regression", "pchembl_value")


def test_a_size_that_is_none_is_refused(call: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--support", "16,many", "-o", "-") == 2
    assert "'many' is no number of examples" in capsys.readouterr().err


def test_the_help_lists_the_names_of_columns(
    call: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert call("--help") == 0
    shown = capsys.readouterr().out
    for names in (ASSAYS, COLUMNS["smiles"], CLASSES, RELATIONS, GROUPS):
        assert f"[default: found by name: {', '.join(names)}" in " ".join(shown.split())
    assert f"for regression {', '.join(NUMBERS)};" in " ".join(shown.split())


def test_one_that_is_left_out_is_told_in_the_singular(
    call: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("assays.csv").open("a") as file:
        file.write("A,CO,0,1\nA,C(C,1,1\nA,CCC#N,,\n")
    assert call("--support", "8", "-o", "one.json") == 0
    shown = capsys.readouterr().err
    for words in (
        "1 molecule that cannot be read", "1 without a value", "1 repeated within its assay",
        "1 molecule with contradictory classes",
    ):  # fmt: skip
        assert f"left out  {words}\n" in shown
    with Path("assays.csv").open("a") as file:
        file.write("A,CN,0,1\nA,C(C,1,1\n")
    assert call("--support", "8", "-o", "two.json") == 0
    shown = capsys.readouterr().err
    for words in (
        "2 molecules that cannot be read", "2 repeated within their assay", "2 molecules with contradictory classes",
    ):  # fmt: skip
        assert f"left out  {words}\n" in shown
    rows = [f"A,{'C' * size}{end},{size}.5,train" for size in range(1, 11) for end in "ON"]
    rows += [
        "A,CO,3,test",
        "A,CS,>3,test",
        "A,CS,<3,test",
        *(f"A,{'C' * size}Cl,{size},test" for size in range(1, 9)),
    ]
    Path("assays.csv").write_text("\n".join(["assay_id,smiles,y,part", *rows]) + "\n")
    options = ("--task", "regression", "--target", "y", "--split-column", "part")
    assert call("--support", "8", "-o", "three.json", *options) == 0
    shown = capsys.readouterr().err
    assert "left out  1 query whose molecule is in the training part too\n" in shown
    assert "left out  1 molecule with contradictory bounds\n" in shown
