"""Whole runs of a tiny model: it learns, and a run that was stopped ends like an undisturbed one."""

import os
import signal
from pathlib import Path

import pytest
import torch

import bio_xlstm
from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.tasks.pretrain import run as run_module
from bio_xlstm.tasks.pretrain.language_modeling import rate
from bio_xlstm.tasks.pretrain.run import pretrain
from bio_xlstm.tasks.pretrain.settings import Recipe, TrainingSettings, parse_recipe, with_overrides

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)O", "CCN(CC)CC", "O=C=O", "C#N", "ClCCl", "n1ccccc1"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "m.smi").write_text("\n".join(MOLECULES) + "\n")
    (tmp_path / "other.smi").write_text("\n".join(f"{'C' * n}Br" for n in range(1, 9)) + "\n")
    return tmp_path


def recipe(**training) -> Recipe:
    """Describe a run of seconds."""
    settings = {"steps": 8, "batch_tokens": 32, "warmup": 2, "learning_rate": 1e-2, "accelerator": "cpu"}
    return parse_recipe(
        {
            "name": "tiny",
            "model": {"family": "chem", "dim": 32, "blocks": 1, "heads": 2},
            "data": {
                "kind": "smiles",
                "window": 16,
                "domains": [
                    {"name": "known", "files": ["m.smi"], "licence": "none needed"},
                    {"name": "unseen", "files": ["other.smi"], "held_out": 1.0},
                ],
            },
            "training": settings
            | {"validate_every": 3, "checkpoint_every": 3, "log_every": 2, "threads": 1}
            | training,
        }
    )


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return bio_xlstm.load(directory).state_dict()


def test_a_tiny_model_memorises_eight_molecules(data: Path) -> None:
    settings = recipe(steps=80, batch_tokens=64, warmup=10, validate_every=200, checkpoint_every=200)
    result = pretrain(settings, data, data / "out")
    assert result.written and result.steps == 80
    model = bio_xlstm.load(data / "out")
    tokenizer = model.tokenizer
    for molecule in MOLECULES:
        ids = torch.tensor([[tokenizer.start, *tokenizer.encode(molecule).tolist()]])
        predicted = model(ids).logits.argmax(-1)[0].tolist()
        # the first token cannot be known; after two the molecule is
        assert predicted[3:] == [*ids[0, 4:].tolist(), tokenizer.stop][: len(predicted[3:])]


@pytest.mark.parametrize("stop_after", [2, 5])
def test_a_stopped_run_ends_bit_for_bit_like_an_undisturbed_one(
    data: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    whole = pretrain(recipe(), data, data / "whole")

    class Interrupted(run_module.Guard):
        def on_train_batch_end(self, trainer, module, *rest) -> None:
            if trainer.global_step == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)
            super().on_train_batch_end(trainer, module, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "Guard", Interrupted)
        stopped = pretrain(recipe(), data, data / "resumed")
    assert not stopped.written and stopped.steps == stop_after
    assert not (data / "resumed" / "model.safetensors").exists()
    resumed = pretrain(recipe(), data, data / "resumed")
    assert resumed.written and resumed.validation == whole.validation
    expected, found = weights(data / "whole"), weights(data / "resumed")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_run_killed_between_checkpoints_repeats_the_lost_steps(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain(recipe(), data, data / "whole")

    class Killed(run_module.Guard):
        def on_train_batch_end(self, trainer, module, *rest) -> None:
            if trainer.global_step == 5:
                raise MemoryError("killed")
            super().on_train_batch_end(trainer, module, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "Guard", Killed)
        with pytest.raises(MemoryError):
            pretrain(recipe(), data, data / "resumed")
    pretrain(recipe(), data, data / "resumed")
    expected, found = weights(data / "whole"), weights(data / "resumed")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_time_that_is_up_ends_the_run_with_a_model(data: Path) -> None:
    result = pretrain(recipe(max_minutes=1e-6), data, data / "out")
    assert result.written and result.steps == 1
    assert bio_xlstm.load(data / "out").config.family == "chem"


def test_the_card_names_data_licences_training_and_quality(data: Path) -> None:
    pretrain(recipe(), data, data / "out")
    card = (data / "out" / "README.md").read_text()
    for part in ("# tiny", "m.smi", "none needed", "8 steps", "| unseen |", "perplexity"):
        assert part in card


def test_finished_and_foreign_runs_are_not_overwritten(data: Path) -> None:
    pretrain(recipe(steps=2), data, data / "out")
    with pytest.raises(OutputError, match="already holds a finished model; use --overwrite"):
        pretrain(recipe(steps=2), data, data / "out")
    (data / "out" / "model.safetensors").unlink()
    with pytest.raises(OutputError, match="left from an earlier run; use --resume"):
        pretrain(recipe(steps=2), data, data / "out", resume=False)
    with pytest.raises(ConfigError, match="was begun with another recipe"):
        pretrain(with_overrides(recipe(), seed=1), data, data / "out")
    assert pretrain(with_overrides(recipe(steps=1), seed=1), data, data / "out", overwrite=True).steps == 1


def test_the_rate_rises_then_falls_to_its_floor() -> None:
    settings = TrainingSettings(steps=100, warmup=10, learning_rate=1.0, final_learning_rate=0.1)
    rates = [rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == pytest.approx(1.0)
    assert rates[10] == 1.0 and rates[100] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(rates[9:], rates[10:], strict=False))
    constant = TrainingSettings(steps=100, warmup=10, schedule="constant")
    assert rate(99, constant) == 1.0


def test_the_command_line_reports_recipe_errors_with_exit_code_two(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bio_xlstm.cli.main import run as run_program

    text = "[model]\nfamily = 'chem'\n[data]\nkind = 'smiles'\n[training]\nsteps = 1\nstep = 2\n"
    (data / "bad.toml").write_text(text)
    assert run_program(["pretrain", str(data / "bad.toml"), "-o", str(data / "out")]) == 2
    assert "has no key step; known:" in capsys.readouterr().err


def test_a_folder_of_others_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("precious")
    with pytest.raises(OutputError, match="mine holds files but neither a model nor a run"):
        pretrain(recipe(), data, tmp_path / "mine", overwrite=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["a.txt"]
