"""`bioxlstm evaluate fewshot` from the words of the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bio_xlstm.cli.main import run

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
