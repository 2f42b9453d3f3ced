"""`bioxlstm models` describes what a model directory holds."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import bio_xlstm as bx
from bio_xlstm.cli.models import models
from bio_xlstm.errors import ModelError
from bio_xlstm.models.directory import bundled_learners, bundled_names

CARD = """# tiny

## Data and licences

| domain | files | trained on | held out | licence |
|---|---|---|---|---|
| zinc | a.smi | 10 sequences, 300 tokens | 1 sequences, 30 tokens | free use |
| qm9 | b.smi | 5 sequences, 90 tokens | 1 sequences, 9 tokens | MIT |
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Write a small model with a card."""
    bx.build("chem", dim=32, blocks=2, heads=2, seed=0).save(tmp_path / "tiny", card=CARD)
    return tmp_path / "tiny"


def test_info_tells_what_the_model_is(directory: Path) -> None:
    result = CliRunner().invoke(models, ["info", str(directory)], catch_exceptions=False)
    lines = {line.split("  ")[0].strip(): line for line in result.output.splitlines()}
    assert result.exit_code == 0
    model = bx.load(directory)
    assert f"{model.parameter_count:,}" in lines["parameters"]
    assert model.weight_hash() in lines["weight hash"]
    assert lines["licence"].endswith("data: free use; MIT")
    assert lines["training data"].endswith("zinc (10 sequences, 300 tokens); qm9 (5 sequences, 90 tokens)")
    assert "smiles, left to right" in lines["reads"]
    assert f"{len(model.tokenizer.vocabulary)} symbols" in lines["vocabulary"]


def test_a_licence_line_of_the_card_comes_first(directory: Path) -> None:
    (directory / "README.md").write_text(CARD + "\n**Licence:** CC BY-SA 3.0\n")
    result = CliRunner().invoke(models, ["info", str(directory)], catch_exceptions=False)
    assert "licence        CC BY-SA 3.0\n" in result.output


def test_a_card_that_says_nothing_is_said_to(directory: Path) -> None:
    (directory / "README.md").unlink()
    result = CliRunner().invoke(models, ["info", str(directory)], catch_exceptions=False)
    assert result.output.count("not stated in the model card") == 2


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(directory: Path, file: str) -> None:
    (directory / file).unlink()
    result = CliRunner().invoke(models, ["info", str(directory)])
    assert isinstance(result.exception, ModelError)
    assert f"{file} is missing" in str(result.exception)
    if file != "config.json":
        assert "is not a complete model directory" in str(result.exception)


def test_damaged_weights_are_named(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"no weights")
    result = CliRunner().invoke(models, ["info", str(directory)])
    assert isinstance(result.exception, ModelError)
    assert "model.safetensors is damaged" in str(result.exception)


def test_an_unknown_name_is_refused() -> None:
    result = CliRunner().invoke(models, ["info", "protein-huge"])
    assert isinstance(result.exception, ModelError)
    assert "there is no model 'protein-huge'" in str(result.exception)


def test_list_names_every_bundled_model() -> None:
    result = CliRunner().invoke(models, ["list", "-v"], catch_exceptions=False)
    assert result.exit_code == 0
    head, *rows = result.output.splitlines()
    assert head.split() == ["name", "reads", "parameters", "dimensions", "layers", "MB", "direction"]
    assert [row.split()[0] for row in rows] == [*bundled_names(), *bundled_learners()]
