"""`bioxlstm models convert` says what it made, and in one line why it made nothing."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import bio_xlstm as bx
from bio_xlstm.cli.main import run
from bio_xlstm.cli.models import models
from tests.original.checkpoints import DNA_STATED, large_weights, v1_weights, write_dna, write_large

DNA = {"d_model": 40, "n_layer": 2, "vocab_size": 12, **DNA_STATED, "bidirectional": True}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Write a small original checkpoint."""
    return write_dna(tmp_path / "original", v1_weights(blocks=2, dtype=torch.float32), DNA)


def test_three_lines_tell_what_was_made(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "model"
    result = CliRunner().invoke(models, ["convert", str(source), str(target)], catch_exceptions=False)
    model = bx.load(target)
    assert result.exit_code == 0 and result.stdout == ""
    note, *lines = result.stderr.splitlines()
    assert note.startswith("note      double_residual = true: ")
    assert lines == [
        f"model     {target}",
        f"holds     DNA-xLSTM, {model.parameter_count:,} parameters, 2 blocks, masked objective",
        f"load it   bio_xlstm.load({str(target)!r})",
    ]


def test_quiet_says_nothing_and_info_tells_the_origin(source: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "model")
    result = CliRunner().invoke(models, ["convert", str(source), target, "-q", "--name", "dna-old"])
    assert result.exit_code == 0 and result.output == ""
    told = CliRunner().invoke(models, ["info", target]).output
    assert (
        "dna-old" in told and "ml-jku/DNA-xLSTM) is Apache-2.0" in told and "dna, both ways (shared)" in told
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    (
        (["--heads", "8"], 2, "--heads 8 does not fit"),
        (["--family", "protein"], 2, "--family protein does not fit a checkpoint of DNA-xLSTM"),
        (["--objective", "causal"], 2, "a model that reads both ways (shared) sees its targets"),
        (["--dtype", "int8"], 2, "dtype must be one of keep, fp32, fp64, not 'int8'"),
        (["--tokenizer", "nowhere"], 1, "there is no model 'nowhere'"),
    ),
)
def test_wrong_options_are_one_line(
    words: list[str],
    code: int,
    message: str,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["models", "convert", str(source), str(tmp_path / "model"), *words]) == code
    told = capsys.readouterr().err
    assert told.startswith("Error: ") and message in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("data", "message"),
    (
        (b"x", "is not a checkpoint but a single byte"),
        (
            b"cposix\nsystem\n(S'touch trace'\ntR.",
            "a pickle that asks for code to be run (posix.system): it was refused",
        ),
    ),
)
def test_a_file_that_is_no_checkpoint_is_one_line(
    data: bytes, message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "last.ckpt").write_bytes(data)
    assert run(["models", "convert", str(source), str(tmp_path / "model")]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"Error: {source / 'last.ckpt'} is") and message in told and told.count("\n") == 1


def test_folders_of_no_known_format_are_one_short_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "convert", str(tmp_path / "none"), str(tmp_path / "model")]) == 1
    assert "none: no such file or folder" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    assert run(["models", "convert", str(tmp_path / "other"), str(tmp_path / "model")]) == 1
    told = capsys.readouterr().err.replace(str(tmp_path), "")
    assert "--help lists the formats" in told and told.count("\n") == 1 and len(told) < 160
    listed = CliRunner().invoke(models, ["convert", "--help"]).output.splitlines()
    assert any(line.split() == ["DNA-xLSTM", "*.ckpt,", "model_config.json"] for line in listed)


def test_settings_that_were_left_open_are_told(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "model_config.json").write_text('{"d_model": 40, "n_layer": 2, "vocab_size": 12}')
    assert run(["models", "convert", str(source), str(tmp_path / "model")]) == 0
    assert (
        "note      assumed, as model_config.json does not say: bidirectional = false, "
        in capsys.readouterr().err
    )
    (source / "model_config.json").write_text('{"a": 1}')
    assert run(["models", "convert", str(source), str(tmp_path / "other")]) == 1
    told = capsys.readouterr().err
    assert "does not state d_model, n_layer, vocab_size, which DNA-xLSTM always writes" in told
    assert told.count("\n") == 1 and not (tmp_path / "other").exists()


def test_an_existing_model_is_only_replaced_when_asked(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["models", "convert", str(source), str(tmp_path / "model")]
    assert [run(words), run(words), run([*words, "--overwrite"])] == [0, 1, 0]
    assert "--overwrite replaces the model in it" in capsys.readouterr().err


def test_a_general_model_takes_the_tokenizer_it_is_given(tmp_path: Path) -> None:
    config = {"embedding_dim": 40, "num_heads": 4, "num_blocks": 2, "vocab_size": 38}
    weights = large_weights(vocabulary=38, dtype=torch.float32)
    source = write_large(tmp_path / "large", weights, config)
    bx.build("protein", dim=32, blocks=1).save(tmp_path / "protein")
    words = [
        "models",
        "convert",
        str(source),
        str(tmp_path / "model"),
        "--tokenizer",
        str(tmp_path / "protein"),
    ]
    assert run([*words, "-q"]) == 0
    assert bx.load(tmp_path / "model").kind == "protein"
