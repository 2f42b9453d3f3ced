"""`bioxlstm evaluate generation` from the words of the command line."""

import json
from pathlib import Path

import pytest

from bio_xlstm.cli.main import run
from bio_xlstm.tasks.evaluate import histograms


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write generated and real molecules, and go there."""
    (tmp_path / "g.smi").write_text("CCO\nC1CC\nc1ccccc1\n")
    (tmp_path / "r.smi").write_text("CCN\nCCO\nc1ccccc1O\nCC\n")
    monkeypatch.chdir(tmp_path)
    # drawing takes a second
    monkeypatch.setattr(histograms, "draw_histograms", lambda samples, shares, title: b"")
    return tmp_path


def test_a_folder_is_written(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "evaluate generation g.smi --reference r.smi --train r.smi -o out --no-fcd --workers 0"
    assert run(words.split()) == 0
    shown = capsys.readouterr()
    assert shown.out == "" and "validity" in shown.err and "written   out" in shown.err
    found = json.loads((files / "out" / "metrics.json").read_text())
    assert found["metrics"]["novelty"]["value"] == 0.5
    assert found["metrics"]["validity"]["value"] == 2 / 3
    assert run(words.split()) == 1
    assert "use --overwrite to replace it" in capsys.readouterr().err
    assert run([*words.split(), "--overwrite", "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_json_goes_to_standard_output(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "generation", "g.smi", "-o", "-", "--no-fcd"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["records"]["value"] == 3


def test_defaults_come_from_a_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "c.toml").write_text("[generation]\nreference = 'r.smi'\nfcd = false\ncompare = 3\n")
    assert run(["evaluate", "generation", "g.smi", "-o", "o.json", "--config", "c.toml"]) == 0
    assert json.loads((files / "o.json").read_text())["compared_at_most"] == 3


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("none.smi -o x", 1, "Error: none.smi: there is no such file"),
        ("g.smi -o x --hmm r.smi", 2, "Error: --hmm scores proteins, and g.smi holds molecules"),
        ("g.smi", 2, "Missing option '-o'"),
    ],
)
def test_errors_take_one_line(
    files: Path, words: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "generation", *words.split()]) == code
    assert message in capsys.readouterr().err
