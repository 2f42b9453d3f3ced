"""`predict` and `state build` take one way at a time, and say so."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.cli import main as cli
from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.directory import save_in_context
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.models import directory

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command in a folder with a learner, a support and queries."""
    bx.build("chem", dim=16, blocks=2, heads=2, seed=0).save(tmp_path / "base")
    torch.manual_seed(0)
    sizes = {"embedding": 16, "bits": 64, "hidden": 16, "dim": 8, "blocks": 1, "heads": 1}
    model = InContextModel(InContextConfig(encoder=str(tmp_path / "base"), **sizes), "icl")
    save_in_context(model, tmp_path / "icl")
    (tmp_path / "labelled.csv").write_text("mol,smiles,active,other\nCCCO,CCO,1,0.5\nCCCN,CCN,0,0.7\n")
    (tmp_path / "new.smi").write_text("CCC one\nCCF two\n")
    monkeypatch.chdir(tmp_path)

    def do(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["bioxlstm", *words])
        return cli.run()

    return do


def test_support_and_state(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("-m", "icl", "--target", "active")
    assert run("predict", "--support", "labelled.csv", "new.smi", "-o", "one.csv", *options) == 0
    assert "support  labelled.csv: 2 examples of active, 1 '1' (positive), 1 '0'" in capsys.readouterr().err
    assert run("state", "build", "--support", "labelled.csv", "-o", "assay.state", *options) == 0
    assert "use: bioxlstm predict --state assay.state -m icl new.smi" in capsys.readouterr().err
    assert run("predict", "--state", "assay.state", "new.smi", "-o", "two.csv", "-m", "icl") == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    capsys.readouterr()
    assert run("state", "info", "assay.state") == 0
    text = capsys.readouterr().out
    assert (
        "learner     icl" in text and "binary ('1' is positive)" in text and "2 examples, 1 of them" in text
    )
    named = ("--target", "other", "--support-column", "mol", "--task", "regression", "--coverage", "0.8")
    assert run("predict", "--support", "labelled.csv", "new.smi", "-o", "three.csv", "-m", "icl", *named) == 0
    assert (tmp_path / "three.csv").read_text().startswith("smiles,id,predicted,lower,upper,spread,nearest")
    assert "intervals of 80% need 4 measured examples" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("predict new.smi", "give the directory of a fine-tuned model before the input, or --support"),
        ("predict a b new.smi", "one model and one input are enough: 'a b' are too many"),
        ("predict a new.smi --support labelled.csv", "a and --support exclude each other"),
        ("predict new.smi --state x --support labelled.csv", "--support and --state exclude each other"),
        ("predict a new.smi --target y", "--target goes with --support"),
        ("predict a new.smi --coverage 0.8", "--coverage goes with --support or --state"),
        ("predict a new.smi -m icl", "-m goes with --support or --state"),
        ("predict a new.smi --points x", "--points goes with --support or --state"),
        ("predict new.smi --state x --target y", "--target goes with --support"),
        ("state build", "give an INPUT to read, or --support labelled.csv, one of them"),
        ("state build new.smi --support labelled.csv", "give an INPUT to read, or --support"),
        ("state build new.smi --target y", "--target goes with --support"),
        ("state build --support labelled.csv --seed 3", "--seed goes with INPUT"),
    ],
)
def test_one_way_at_a_time(run: Run, words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words.split(), "-o", "out.csv") == 2
    assert message in capsys.readouterr().err


def test_a_state_is_a_file(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("state", "build", "--support", "labelled.csv", "-o", "-", "-m", "icl") == 1
    assert "a state goes to a file, not to standard output" in capsys.readouterr().err


def test_a_bundled_learner(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bundled").mkdir()
    (tmp_path / "icl").rename(tmp_path / "bundled" / "chem-icl")
    (tmp_path / "base").rename(tmp_path / "bundled" / "small")
    monkeypatch.setattr(directory, "BUNDLED", tmp_path / "bundled")
    assert directory.bundled_names() == ["small"] and directory.bundled_learners() == ["chem-icl"]
    assert run("models", "list") == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()] == ["name", "chem", "icl"]
    assert "labelled examples in any order" in text
    assert run("models", "info", "chem-icl") == 0
    assert "vocabulary" not in capsys.readouterr().out
