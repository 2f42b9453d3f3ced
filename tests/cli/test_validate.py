"""`bioxlstm validate` counts what is in a file and says what would go wrong, without writing anything."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import bio_xlstm as bx
from bio_xlstm.cli.validate import validate
from bio_xlstm.errors import BioXlstmError
from bio_xlstm.records import Record
from bio_xlstm.tasks import validate as task
from bio_xlstm.tokenizers import TOKENIZERS

PROTEINS = ">a one\nMKTAYIAKQR\n>b\nmktayiakqr\n>a\n\n>c\nMK-TAY\n>d\nMKT@\n>e\nMKTAYIAKQRQISFVKSHFSRQ\n"


@pytest.fixture
def run(tmp_path: Path):  # noqa: ANN201
    """Return a call that validates some text with a small model."""

    def call(text: str, name: str, family: str, *options: str) -> str:
        bx.build(family, dim=32, blocks=1, heads=2, seed=0).save(tmp_path / "model")
        path = tmp_path / name
        path.write_text(text)
        before = sorted(tmp_path.rglob("*"))
        arguments = [str(path), "-m", str(tmp_path / "model"), *options]
        result = CliRunner().invoke(validate, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        assert sorted(tmp_path.rglob("*")) == before
        return result.output

    return call


def test_proteins_are_counted(run) -> None:
    output = run(PROTEINS, "proteins.fasta", "protein", "--no-estimate")
    assert "fasta, proteins, 6 records" in output
    for status, count in {"ok": 3, "cleaned": 1, "empty": 1, "error": 1}.items():
        assert f"  {status:<16}{count:>12,}\n" in output
    assert "row 2 (a): empty" in output
    assert "line 10 column 4" in output
    assert "shortest 5, mean 11.8, longest 22 tokens" in output
    assert "repeated sequences: 1\n" in output
    assert "repeated ids: 1\n" in output
    assert "'@' 1" in output
    assert "time" not in output


def test_molecules_are_parsed(run) -> None:
    output = run("CCO ethanol\nC1CC bad\nc1ccccc1 benzene\n", "molecules.smi", "chem", "--no-estimate")
    assert "smiles, molecules, 3 records" in output
    assert "row 1 (bad): invalid_smiles" in output


def test_the_estimate_is_printed(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "TRIAL_SECONDS", 0.05)
    output = run(PROTEINS, "proteins.fasta", "protein")
    assert "tokens/s)" in output
    assert "as Parquet" in output


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.fasta"
    path.write_text("")
    result = CliRunner().invoke(validate, [str(path)])
    assert isinstance(result.exception, BioXlstmError)
    assert "empty.fasta" in str(result.exception)


def test_duplicates_are_looked_for_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "DUPLICATE_LIMIT", 2)
    texts = ["ACGT", "AAAA", "CCCC", "ACGT", "CCCC"]
    records = [Record(row, str(row), text, row + 1) for row, text in enumerate(texts)]
    found = task.examine(records, TOKENIZERS["dna"]())
    assert found.duplicates == 1  # the second CCCC is past the limit
    assert not found.duplicates_complete


def test_the_histogram_holds_every_sequence() -> None:
    texts = ["A" * length for length in (1, 2, 3, 4, 7, 8, 100)]
    records = [Record(row, "", text, row + 1) for row, text in enumerate(texts)]
    found = task.examine(records, TOKENIZERS["dna"]())
    assert dict(found.lengths) == {1: 1, 2: 2, 4: 2, 8: 1, 64: 1}
    assert (found.shortest, found.longest, found.tokens) == (1, 100, 125)


def test_the_sample_is_spread_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "SAMPLE_SIZE", 10)
    records = [Record(row, "", "A" * (row + 1), row + 1) for row in range(200)]
    found = task.examine(records, TOKENIZERS["dna"]())
    lengths = [len(ids) for ids in found.sample]
    assert len(lengths) == 10
    assert max(lengths) > 100


def test_another_modality_is_refused_as_embed_does(tmp_path: Path) -> None:
    bx.build("dna", dim=16, blocks=1, heads=2, seed=0).save(tmp_path / "model")
    (tmp_path / "p.fasta").write_text(PROTEINS)
    result = CliRunner().invoke(validate, [str(tmp_path / "p.fasta"), "-m", str(tmp_path / "model"), "-q"])
    assert isinstance(result.exception, BioXlstmError)
    assert "p.fasta holds proteins, but the model" in str(result.exception)


def test_what_is_taken_out_is_no_unknown_letter(run) -> None:
    options = ("--no-estimate", "--device", "cpu", "-v")
    output = run(">a\nMKTAY*\n>b\nMK-T 12\n", "proteins.fasta", "protein", *options)
    assert "letters outside the vocabulary: none" in output
