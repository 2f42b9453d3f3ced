"""`bioxlstm finetune` and `predict` from words to files."""

import csv
from pathlib import Path

import pytest

from bio_xlstm.cli.main import run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Write a small assay."""
    path = tmp_path / "assay.csv"
    rows = [
        f"{'C' * (1 + number % 7)}{'O' * (number % 3)}{'N' * (number // 21)},{number % 3}.5"
        for number in range(42)
    ]
    path.write_text("\n".join(["smiles,activity", *rows]) + "\n")
    return path


def test_from_a_table_to_predictions(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import bio_xlstm as bx

    bx.build("chem", dim=16, blocks=1, heads=2).save(tmp_path / "base")
    model = tmp_path / "model"
    words = ["finetune", str(table), "-o", str(model), "-m", str(tmp_path / "base"), "--head", "linear"]
    assert run([*words, "--no-baselines", "--bootstrap", "0", "--fractions", "60,20,20"]) == 0
    said = capsys.readouterr().err
    assert "task     regression of activity" in said and "use: bioxlstm predict" in said
    out = tmp_path / "out.csv"
    assert run(["predict", str(model), str(table), "-o", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 42 and {"smiles", "activity", "predicted_activity", "similarity"} <= set(rows[0])
    assert run(["predict", str(tmp_path / "base"), str(table), "-o", str(tmp_path / "no.csv")]) == 1
    assert "is no fine-tuned model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fractions", "80,20"], "are not three shares, such as 80,10,10"),
        (["--method", "tea"], "'tea' is not one of"),
        (["--coverage", "2"], "--coverage must be at least 0.5 and below 1, not 2"),
    ],
)
def test_wrong_words(words: list[str], message: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["finetune", str(table), "-o", "nowhere", *words]) == 2
    assert message in capsys.readouterr().err
