"""The commands generate and state: words, messages, exit codes."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bio_xlstm.cli import main as cli

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `bioxlstm` in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def program(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["bioxlstm", *words])
        return cli.run()

    return program


def test_molecules_are_written_and_described(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("generate", "-m", "chem-small", "-n", "4", "-o", "new.csv", "--weight", ":500", "--seed", "5")
    assert run(*words) == 0
    out, err = capsys.readouterr()
    where, what, load = err.splitlines()
    assert out == "" and where.startswith("wrote new.csv") and what.startswith("4 molecules of ")
    assert load.startswith("load: ") and len(Path("new.csv").read_text().splitlines()) == 5
    assert run(*words) == 0 and "already complete" in capsys.readouterr().err


def test_too_few_is_1_and_says_the_rate(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "generate",
        "-m",
        "chem-small",
        "-n",
        "2",
        "-o",
        "new.csv",
        "--weight",
        "9000:",
        "--max-tries",
        "16",
    )
    assert run(*words) == 1
    assert "Error: 0 of 2 molecules: 0 % of 16 tries were accepted (" in capsys.readouterr().err
    assert Path("new.csv").exists()


def test_wrong_words_are_2(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "-n", "2", "-o", "new.csv", "-m", "chem-small", "--qed", "high") == 2
    assert "'high' is no range; ranges are LOW:HIGH, LOW: or :HIGH" in capsys.readouterr().err
    assert run("generate", "-n", "2", "-o", "new.csv", "-m", "chem-small", "--temperature", "-1") == 2
    assert "Error: temperature must not be negative, not -1" in capsys.readouterr().err
    assert run("generate", "-o", "new.csv") == 2


def test_states_are_built_described_and_used(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("some.smi").write_text("CCO\nCCN\nc1ccccc1O\n")
    assert run("state", "build", "some.smi", "-o", "some.state") == 0
    assert "using" not in capsys.readouterr().out
    assert run("state", "info", "some.state") == 0
    out = capsys.readouterr().out
    assert "model       chem-small" in out and "3 members" in out
    assert run("generate", "-m", "chem-small", "--state", "some.state", "-n", "2", "-o", "-") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert run("generate", "-m", "dna-causal", "--state", "some.state", "-n", "2", "-o", "-") == 1
    assert "Error: some.state was made by another model" in capsys.readouterr().err


def test_help_is_instant_and_imports_nothing_heavy() -> None:
    begun = time.perf_counter()
    code = (
        "import sys; from bio_xlstm.cli.main import run; code = run(['generate', '--help']); "
        "assert not {'torch', 'numpy', 'rdkit'} & set(sys.modules), 'heavy'; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--scaffold" in done.stdout, done.stderr
    assert time.perf_counter() - begun < 5
