"""A tiny protein model and a folder with a good and a bad file, shared by the tests of commands that read files."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def protein_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save a tiny protein model; return its directory."""
    import bio_xlstm as bx

    folder = tmp_path_factory.mktemp("models") / "tiny"
    bx.build("protein", dim=16, blocks=2, heads=2, seed=0).save(folder)
    return str(folder)


@pytest.fixture
def run_on_proteins(
    tmp_path: Path, protein_model: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Callable[..., int]]:
    """Return a function that makes one that runs a command in a folder that holds good.fa and bad.fa."""
    from bio_xlstm.cli import main as cli

    (tmp_path / "good.fa").write_text(">a\nMKTAYIAKQR\n>b\nMKLV\n>c\nGSHM\n")
    (tmp_path / "bad.fa").write_text(">a\nMKTAYIAKQR\n>b\nMK!V\n")
    monkeypatch.chdir(tmp_path)

    def runner(command: str) -> Callable[..., int]:
        def run(*words: str, with_model: bool = True) -> int:
            arguments = [command, *words, *(["-m", protein_model] if with_model else []), "--kind", "protein"]
            monkeypatch.setattr(sys, "argv", ["bioxlstm", *arguments])
            return cli.run()

        return run

    return runner
