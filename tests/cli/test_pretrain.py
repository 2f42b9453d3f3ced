"""`bioxlstm pretrain`: what it says, what it overrides, how it ends."""

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bio_xlstm.cli import main as program
from bio_xlstm.errors import ConfigError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

RECIPE = """
name = "tiny"
[model]
family = "chem"
dim = 32
blocks = 1
heads = 2
[data]
kind = "smiles"
window = 16
[[data.domains]]
name = "known"
files = ["m.smi"]
[[data.domains]]
name = "unseen"
files = ["other.smi"]
held_out = 1.0
[training]
steps = 4
batch_tokens = 32
accelerator = "cpu"
threads = 1
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Write a recipe and its data."""
    (tmp_path / "m.smi").write_text("CCO\nc1ccccc1\nCC(=O)O\n")
    (tmp_path / "other.smi").write_text("CBr\nCCBr\n")
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def run(recipe: Path, *words: object) -> int:
    """Run the command on a recipe and the data beside it."""
    folder = recipe.parent
    return program.run(
        ["pretrain", str(recipe), "--data", str(folder), "-o", str(folder / "out"), *map(str, words)]
    )


def test_help_is_quick() -> None:
    code = (
        "import sys; from bio_xlstm.cli.main import run; run(['pretrain', '--help']);"
        "print([name for name in ('torch', 'numpy', 'pytorch_lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--accumulate" in done.stdout and "--dry-run" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_dry_run_says_what_the_run_takes_and_leaves_it(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe, "--dry-run", "--steps", 6) == 0
    said = capsys.readouterr().out
    for part in (
        "data       known: trained on 3 sequences, 18 tokens",
        "data       unseen: held out 2 sequences, 5 tokens",
        "tiny: ",
        " parameters",
        "epoch      about 1 step of at most 32 tokens",
        "run        6 steps, about 6.0 epochs",
        "memory     about ",
        "on the CPU (weights ",
    ):
        assert part in said
    assert sorted(path.name for path in (recipe.parent / "out" / "training").iterdir()) == ["corpus"]
    # the run takes up the prepared data
    assert run(recipe, "-q") == 0


def test_options_take_the_place_of_the_recipe(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bio_xlstm.tasks.pretrain import run as run_module

    def caught(settings, *_: object, **options: object) -> None:
        found = settings.training
        print(json.dumps([found.devices, found.strategy, found.precision, found.accelerator, found.workers]))
        print(json.dumps([found.accumulate, found.checkpoint_blocks, found.tensorboard, found.nodes]))
        raise ConfigError("that is all")

    monkeypatch.setattr(run_module, "pretrain", caught)
    words = "--devices 3 --strategy ddp --precision bf16-mixed --accelerator gpu --workers 2 --accumulate 5"
    assert run(recipe, *words.split(), "--checkpoint-blocks", "--tensorboard", "--nodes", 2) == 2
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first) == [3, "ddp", "bf16-mixed", "gpu", 2]
    assert json.loads(second) == [5, True, True, 2]
    assert run(recipe, "--keep-blocks") == 2
    assert json.loads(capsys.readouterr().out.splitlines()[1]) == [1, False, False, 1]


def test_a_finished_run_says_where_its_model_is(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(recipe) == 0
    said = capsys.readouterr().err
    assert "trained   4 of 4 steps" in said and "load it   bio_xlstm.load(" in said
    assert run(recipe) == 1
    assert "already holds a finished model; use --overwrite" in capsys.readouterr().err
    assert run(recipe, "--overwrite", "-q", "--steps", 2) == 0
    assert capsys.readouterr().err == ""


def test_a_stopped_run_says_how_to_go_on(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bio_xlstm.tasks.pretrain import run as run_module

    class Stopped(run_module.Guard):
        def on_train_batch_end(self, trainer, module, *rest) -> None:
            self.stop.asked = trainer.global_step == 2
            super().on_train_batch_end(trainer, module, *rest)

    monkeypatch.setattr(run_module, "Guard", Stopped)
    monkeypatch.setattr("sys.argv", ["bioxlstm", "pretrain", "tiny.toml", "--overwrite", "-o", "out"])
    assert run(recipe, "--overwrite") == 130
    said = capsys.readouterr().err
    assert "Stopped after 2 of 4 steps. To go on where this run stopped:" in said
    assert said.splitlines()[-1] == "  bioxlstm pretrain tiny.toml -o out"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strategy", "fsdp", "--accelerator", "cpu"], "strategy fsdp needs GPUs; use ddp"),
        (
            ["--strategy", "fsdp", "--precision", "64-true"],
            "precision 64-true does not go with strategy fsdp",
        ),
        (["--max-minutes", "-1"], "max_minutes must be at least 0, not -1.0"),
        (["--max-minutes", "inf"], "max_minutes must be a finite number, not inf"),
        (["--precision", "16-mixed"], "precision 16-mixed needs a GPU, and this run is on the CPU"),
        (
            ["--warmup", "4"],
            "warmup (4) must be shorter than steps (4), or the learning rate is never reached",
        ),
        (["--warmup", "2", "--steps", "2"], "warmup (2) must be shorter than steps (2)"),
    ],
)
def test_what_does_not_go_together_is_said(
    recipe: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    for dry in ([], ["--dry-run"]):
        assert run(recipe, *words, *dry) == 2
        assert message in capsys.readouterr().err
    assert not (recipe.parent / "out").exists()


def test_a_gpu_that_is_not_there_is_named(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("there is a GPU")
    assert run(recipe, "--accelerator", "gpu") == 2
    assert run(recipe, "--accelerator", "gpu", "--dry-run") == 2
    assert capsys.readouterr().err.count("accelerator gpu: torch finds no such device on this machine") == 2


def test_recipe_errors_end_with_exit_code_two(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text(RECIPE + "step = 2\n")
    assert run(recipe) == 2
    assert "has no key step; known:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("dim = 32", "dmi = 32"), "[model] unknown model setting dmi"),
        (('"chem"', '"chm"'), "[model] unknown family 'chm'; known: "),
        (("dim = 32", 'dim = "32"'), "[model] dim must be a positive whole number, not '32'"),
        (("heads = 2", 'heads = 2\nobjective = "infill"'), "objective 'infill' needs the masks"),
        (('"smiles"', '"protein"'), "[data] kind is protein, but a model of family 'chem' reads smiles"),
        (("dim = 32", "dim = 200000"), "weights, gradients and moments alone need about 3.8 TB on the CPU"),
        (
            ('"tiny"', '"../../x"'),
            "name must begin with a letter or digit and hold no slashes, such as my-proteins",
        ),
        (
            ("window = 16", "window = 16\nmasked_share = 0.3"),
            "masked_share is for models with objective 'masked'",
        ),
        (
            ("window = 16", 'window = 16\nspans = "single"'),
            "spans is for models with objective 'infill'; this",
        ),
        (('"m.smi"', '"/m.smi"'), "files lie below the data folder (--data) and are named from there"),
        (("steps = 4\n", ""), "[training] is incomplete: steps is missing"),
        (("m.smi", "gone.smi"), "gone.smi (domain 'known') does not exist; name the data folder with --data"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    recipe: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], message: str
) -> None:
    recipe.write_text(RECIPE.replace(*change))
    # only what is wrong with the recipe itself is wrong usage
    assert run(recipe) == (1 if "gone" in message else 2)
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and message in said and said.count("\n") == 1
    assert not (recipe.parent / "out").exists()


def test_ctrl_c_twice_ends_at_once_and_says_how_to_go_on(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bio_xlstm.tasks.pretrain import run as run_module

    class Impatient(run_module.Guard):
        def on_train_batch_end(self, *_) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(run_module, "Guard", Impatient)
    monkeypatch.setattr("sys.argv", ["bioxlstm", "pretrain", "tiny.toml", "--overwrite", "-o", "out"])
    before = signal.getsignal(signal.SIGINT)
    assert run(recipe) == 130
    assert signal.getsignal(signal.SIGINT) == before
    assert capsys.readouterr().err.endswith("this run stopped:\n  bioxlstm pretrain tiny.toml -o out\n")


def test_a_signal_before_the_first_step_ends_the_run_and_says_how_to_go_on(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bio_xlstm.tasks.pretrain import corpus, data_module, run_log, settings

    monkeypatch.setattr("sys.argv", ["bioxlstm", "pretrain", "tiny.toml", "-o", "out"])
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # while the recipe is read, data are prepared, the plan is made, and the weights
    places = [
        (settings, "read_recipe"),
        (corpus, "copy_store"),
        (data_module, "BatchOrder"),
        (run_log, "LogTable"),
    ]
    for number, (module, name) in zip([*SIGNALS, signal.SIGTERM], places, strict=True):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda *_, n=number, **__: signal.raise_signal(n))
            assert run(recipe) == 130
        said = capsys.readouterr().err
        assert said.endswith(
            "Interrupted. To go on where this run stopped:\n  bioxlstm pretrain tiny.toml -o out\n"
        )
        assert not list(recipe.parent.rglob("*.partial")) and not list(recipe.parent.rglob("*.lock"))
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
    assert run(recipe, "-q") == 0


def test_a_signal_that_went_unheard_ends_the_run_before_it_trains(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bio_xlstm.tasks.pretrain import run as run_module

    class Swallowing(run_module.Guard):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(run_module, "Guard", Swallowing)
    assert run(recipe) == 130
    assert "Interrupted. To go on" in capsys.readouterr().err
    assert not (recipe.parent / "out" / "training" / "last.ckpt").exists()


def test_two_runs_cannot_write_one_model(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bio_xlstm.tasks.pretrain.turns import alone

    with alone(recipe.parent / "out"):
        assert run(recipe) == 1
    assert "another run is writing" in capsys.readouterr().err
    assert run(recipe, "-q") == 0
    assert not list(recipe.parent.glob("*.lock"))


def test_records_that_are_left_out_are_said(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recipe.parent / "m.smi").write_text("CCO\nMKV\n")
    assert run(recipe, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "known: trained on 1 sequence, 3 tokens; left out 1 of 2 records (1 unknown_token)" in said
