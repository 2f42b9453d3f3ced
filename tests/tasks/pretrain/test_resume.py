"""A run that was stopped or killed at any moment ends like an undisturbed one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bio_xlstm.tasks.pretrain import run as run_module
from bio_xlstm.tasks.pretrain.log_table import read_rows
from bio_xlstm.tasks.pretrain.run import pretrain

MakeRecipe = Callable[..., Any]
AssertSame = Callable[..., None]

# a process that dies after the fifth step, when the last checkpoint is two steps old
KILLED = """
import os, signal, sys
from bio_xlstm.tasks.pretrain import run
from bio_xlstm.tasks.pretrain.settings import read_recipe

class Killed(run.Guard):
    def on_train_batch_end(self, trainer, module, *rest):
        super().on_train_batch_end(trainer, module, *rest)
        if trainer.global_step == 5:
            os.kill(os.getpid(), signal.SIGKILL)

run.Guard = Killed
run.pretrain(read_recipe(sys.argv[1]), sys.argv[2], sys.argv[3])
"""


def stop_after(step: int, number: int = signal.SIGTERM) -> type:
    """Return a guard whose process gets a signal during one step."""

    class Interrupted(run_module.Guard):
        def on_train_batch_end(self, trainer, module, *rest) -> None:
            if trainer.global_step == step:
                os.kill(os.getpid(), number)
            super().on_train_batch_end(trainer, module, *rest)

    return Interrupted


def log_of(directory: Path) -> list[dict[str, str]]:
    """Read a log without what depends on the machine."""
    rows = read_rows(directory / "training" / "log" / "metrics.csv")
    return [{name: value for name, value in row.items() if name != "tokens_per_second"} for row in rows]


# 3 is a step with a look at held-out data, 4 one with a line of the log
@pytest.mark.parametrize(
    ("step", "number"), [(2, signal.SIGTERM), (3, signal.SIGTERM), (4, signal.SIGINT), (5, signal.SIGUSR1)]
)
def test_a_stopped_run_ends_bit_for_bit_like_an_undisturbed_one(
    data: Path,
    recipe: MakeRecipe,
    assert_same: AssertSame,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    number: int,
) -> None:
    settings = recipe(model={"dropout": 0.2}, accumulate=2)
    before = signal.getsignal(number)
    whole = pretrain(settings, data, data / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "Guard", stop_after(step, number))
        stopped = pretrain(settings, data, data / "resumed")
    assert signal.getsignal(number) == before
    assert not stopped.written and stopped.steps == step
    assert not (data / "resumed" / "model.safetensors").exists()
    resumed = pretrain(settings, data, data / "resumed")
    assert resumed.written and resumed.validation == whole.validation
    assert_same(data / "whole", data / "resumed")
    names = ("README.md", "config.json", "model.safetensors")
    assert all((data / "whole" / n).read_bytes() == (data / "resumed" / n).read_bytes() for n in names)
    merged: dict[str, dict[str, str]] = {}
    for row in log_of(data / "resumed"):
        merged.setdefault(row["step"], {}).update({name: value for name, value in row.items() if value})
    expected = [{name: value for name, value in row.items() if value} for row in log_of(data / "whole")]
    assert list(merged.values()) == expected


def test_a_run_killed_between_checkpoints_repeats_the_lost_steps(
    data: Path, recipe: MakeRecipe, write_recipe: Callable[..., Path], assert_same: AssertSame, root: Path
) -> None:
    pretrain(recipe(), data, data / "whole")
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", KILLED, write_recipe(data), data, data / "resumed"]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert not (data / "resumed" / "model.safetensors").exists()
    pretrain(recipe(), data, data / "resumed")
    assert_same(data / "whole", data / "resumed")
    assert log_of(data / "whole") == log_of(data / "resumed")


def test_a_run_goes_on_with_other_parts_to_a_step(
    data: Path, recipe: MakeRecipe, assert_same: AssertSame, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain(recipe(precision="64-true"), data, data / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "Guard", stop_after(4))
        pretrain(recipe(precision="64-true", accumulate=3), data, data / "resumed")
    result = pretrain(recipe(precision="64-true", accumulate=2), data, data / "resumed")
    assert result.steps == 8
    assert_same(data / "whole", data / "resumed", 1e-6)
    assert [row["step"] for row in log_of(data / "whole")] == [
        row["step"] for row in log_of(data / "resumed")
    ]


def test_a_run_goes_on_with_the_learning_rate_that_the_recipe_has_now(
    data: Path, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "Guard", stop_after(4))
        pretrain(recipe(), data, data / "out")
    pretrain(recipe(learning_rate=3e-3, schedule="constant"), data, data / "out")
    rates = [float(row["learning_rate"]) for row in log_of(data / "out") if row["learning_rate"]]
    assert rates[0] == 1e-2 and rates[-1] == 3e-3
