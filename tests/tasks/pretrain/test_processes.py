"""Several processes together do what one does: gradients, held-out numbers, stopping, checkpoints."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bio_xlstm.tasks.pretrain import run as run_module
from bio_xlstm.tasks.pretrain.log_table import read_rows
from bio_xlstm.tasks.pretrain.processes import is_awaited, is_first
from bio_xlstm.tasks.pretrain.run import pretrain
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

MakeRecipe = Callable[..., Any]
WriteRecipe = Callable[..., Path]
AssertSame = Callable[..., None]

# what Lightning starts once more for the second process: only that one is asked to stop
STOPPED = '''
import os, signal, sys
from bio_xlstm.tasks.pretrain import run, trainer
from bio_xlstm.tasks.pretrain.settings import read_recipe, with_overrides

class Stopped(run.Guard):
    def on_train_batch_end(self, trainer, module, *rest):
        if trainer.global_step == 5 and trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        super().on_train_batch_end(trainer, module, *rest)

run.check_recipe.__globals__["check_machine"] = lambda training: None

def sharded(settings, model):
    """Let FSDP run on a CPU, which Lightning does not allow and torch does with some care."""
    import torch
    from pytorch_lightning.strategies import FSDPStrategy, fsdp
    from torch.distributed.fsdp import (
        FullOptimStateDictConfig, FullStateDictConfig, FullyShardedDataParallel, StateDictType
    )

    class OnCpu(FSDPStrategy):
        def _setup_model(self, model):
            return FullyShardedDataParallel(
                model, mixed_precision=self.mixed_precision_config, device_id=torch.device("cpu"), **self.kwargs
            )

    # to move gathered weights to the CPU is no copy there: they would be freed while they are written
    fsdp._get_full_state_dict_context = lambda module, **_: FullyShardedDataParallel.state_dict_type(
        module, StateDictType.FULL_STATE_DICT, FullStateDictConfig(), FullOptimStateDictConfig()
    )
    # compiled loops hold on to the memory of gathered weights
    model.use_backend("torch")
    return OnCpu(**trainer.fsdp_options(model))

if __name__ == "__main__":
    recipe = with_overrides(read_recipe(sys.argv[1]), devices=2)
    run.Guard = Stopped
    if recipe.training.strategy == "fsdp":
        trainer.make_strategy = sharded
    result = run.pretrain(recipe, sys.argv[2], sys.argv[3])
    if os.environ.get("LOCAL_RANK", "0") == "0":
        assert not result.written and result.steps == 5, result
'''


# asks all processes to stop as soon as Lightning has started the second one, which has not even begun to import
HURRIED = """
import os, signal, subprocess, sys

class Hurried(subprocess.Popen):
    def __init__(self, *given, **options):
        super().__init__(*given, **options)
        if "LOCAL_RANK" in (options.get("env") or {}):
            os.killpg(0, signal.SIGTERM)

subprocess.Popen = Hurried

if __name__ == "__main__":
    from bio_xlstm.cli.main import main
    main()
"""


def run_python(root: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run Python with the package of this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        # signals to the whole group shall not reach the tests
        start_new_session=True,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_equal_one(
    data: Path, recipe: MakeRecipe, write_recipe: WriteRecipe, assert_same: AssertSame, root: Path
) -> None:
    one = pretrain(recipe(precision="64-true", clip=0.1), data, data / "one")
    path = write_recipe(data, precision="64-true", clip=0.1)
    words = ["pretrain", path, "--data", data, "-o", data / "two", "--devices", 2, "--accumulate", 2]
    done = run_python(root, "-m", "bio_xlstm.cli.main", *words)
    assert done.returncode == 0, done.stderr
    assert_same(data / "one", data / "two", 1e-6)
    logs = [read_rows(data / name / "training" / "log" / "metrics.csv") for name in ("one", "two")]
    assert [row["step"] for row in logs[0]] == [row["step"] for row in logs[1]]
    for alone, together in zip(*logs, strict=True):
        for name in set(alone) - {"tokens_per_second"}:
            assert (alone[name] == "") == (together[name] == "")
            assert float(alone[name] or 0) == pytest.approx(float(together[name] or 0), rel=1e-6), name
    assert float(logs[1][-1]["nats_unseen"]) == pytest.approx(one.validation["unseen"], rel=1e-6)
    # one of them speaks
    assert done.stderr.count("load it") == done.stderr.count("step 8 of 8") == 1


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that makes runs in this process stop after a step."""
    guard = run_module.Guard

    def use(step: int) -> None:
        class Stopped(guard):  # type: ignore[misc, valid-type]
            def on_train_batch_end(self, trainer, module, *rest) -> None:
                self.stop.asked = trainer.global_step == step
                super().on_train_batch_end(trainer, module, *rest)

        monkeypatch.setattr(run_module, "Guard", Stopped)

    return use


@pytest.mark.slow
def test_all_processes_stop_together_and_the_run_goes_on_with_one(
    data: Path,
    recipe: MakeRecipe,
    write_recipe: WriteRecipe,
    assert_same: AssertSame,
    stop_at: Callable[[int], None],
    root: Path,
) -> None:
    settings = recipe(precision="64-true")
    pretrain(settings, data, data / "whole")
    # one process begins, two go on, one ends
    stop_at(2)
    assert pretrain(settings, data, data / "resumed").steps == 2
    (data / "script.py").write_text(STOPPED)
    path = write_recipe(data, precision="64-true")
    done = run_python(root, data / "script.py", path, data, data / "resumed")
    assert done.returncode == 0, done.stderr
    assert pretrain(settings, data, data / "resumed").written
    assert_same(data / "whole", data / "resumed", 1e-6)


@pytest.mark.slow
def test_processes_that_are_asked_to_stop_while_they_start_stop_together(
    data: Path, write_recipe: WriteRecipe, assert_same: AssertSame, recipe: MakeRecipe, root: Path
) -> None:
    (data / "hurried.py").write_text(HURRIED)
    path = write_recipe(data, precision="64-true")
    words = ["pretrain", path, "--data", data, "-o", data / "out", "--devices", 2]
    done = run_python(root, data / "hurried.py", *words)
    assert done.returncode == 130, done.stderr
    assert done.stderr.count("Stopped after 1 of 8 steps. To go on where this run stopped:") == 1
    assert "bioxlstm pretrain" in done.stderr.splitlines()[-1]
    assert pretrain(recipe(precision="64-true"), data, data / "out").steps == 8
    pretrain(recipe(precision="64-true"), data, data / "whole")
    assert_same(data / "whole", data / "out", 1e-6)


@pytest.mark.slow
def test_a_sharded_model_goes_on_from_a_whole_one(
    data: Path,
    recipe: MakeRecipe,
    write_recipe: WriteRecipe,
    assert_same: AssertSame,
    stop_at: Callable[[int], None],
    root: Path,
) -> None:
    changes = {"clip": 0.1, "accumulate": 2}
    for step, name in ((5, "whole"), (2, "sharded")):
        stop_at(step)
        assert pretrain(recipe(**changes), data, data / name).steps == step
    (data / "script.py").write_text(STOPPED)
    path = write_recipe(data, strategy="fsdp", **changes)
    done = run_python(root, data / "script.py", path, data, data / "sharded")
    assert done.returncode == 0, done.stderr
    # the moments come back in the right places, or the weights would differ; that they are written right can be
    # seen on GPUs only, as torch gathers them into memory that a CPU shares
    assert_same(data / "whole", data / "sharded", 1e-5)
    groups = [moments(data / name)["param_groups"] for name in ("whole", "sharded")]
    assert groups[0] == groups[1]
    assert set(moments(data / "whole")["state"]) == set(moments(data / "sharded")["state"])


def moments(directory: Path) -> dict[str, Any]:
    checkpoint = torch.load(directory / "training" / "last.ckpt", weights_only=True)
    return dict(checkpoint["optimizer_states"][0])


@pytest.mark.parametrize(
    ("environment", "processes", "first"),
    [
        ({}, 2, True),
        ({"LOCAL_RANK": "0"}, 2, True),
        ({"LOCAL_RANK": "1"}, 2, False),
        ({"LOCAL_RANK": "0", "RANK": "4"}, 8, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, 8, False),
        ({"NODE_RANK": "1"}, 8, False),
        ({"SLURM_PROCID": "0"}, 2, True),
        ({"SLURM_PROCID": "1"}, 2, False),
        # jobs beside each other, each on its own
        ({"SLURM_PROCID": "1"}, 1, True),
    ],
)
def test_one_process_knows_that_it_speaks(
    environment: dict[str, str], processes: int, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first(TrainingSettings(steps=1, devices=processes)) is first
    # those that Lightning starts, and no others
    assert is_awaited() is (environment == {"LOCAL_RANK": "1"})
