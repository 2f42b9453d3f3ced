"""What a machine cannot do is refused before anything is read."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.machine import check_machine, find_place
from bio_xlstm.tasks.pretrain.run import plan_run, pretrain
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

MakeRecipe = Callable[..., Any]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that decides what torch finds."""

    def make(gpus: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return make


def test_auto_is_the_best_that_is_there(machine: Callable[..., None]) -> None:
    machine(gpus=1)
    assert (find_place("auto"), find_place("gpu"), find_place("cpu")) == ("gpu", "gpu", "cpu")
    machine(mps=True)
    assert (find_place("auto"), find_place("gpu"), find_place("mps")) == ("mps", "mps", "mps")
    machine()
    assert find_place("auto") == "cpu"


@pytest.mark.parametrize(
    ("there", "asked", "message"),
    [
        (
            {},
            {"accelerator": "gpu"},
            "accelerator gpu: torch finds no such device on this machine; use cpu or",
        ),
        ({"gpus": 1}, {"accelerator": "mps"}, "accelerator mps: torch finds no such device"),
        ({"gpus": 1}, {"devices": 2}, "devices = 2, but this machine has 1 GPU$"),
        ({}, {"strategy": "fsdp"}, "strategy fsdp needs GPUs; use ddp, which runs everywhere"),
        ({"gpus": 2}, {"strategy": "fsdp", "accelerator": "cpu"}, "strategy fsdp needs GPUs"),
        ({"mps": True}, {"strategy": "fsdp"}, "strategy fsdp needs GPUs"),
        (
            {},
            {"precision": "16-mixed"},
            "precision 16-mixed needs a GPU, and this run is on the CPU; use bf16",
        ),
        ({"mps": True}, {"precision": "64-true"}, "precision 64-true is not for mps; use accelerator cpu"),
    ],
)
def test_what_is_not_there_is_named(
    machine: Callable[..., None], there: dict[str, Any], asked: dict[str, Any], message: str
) -> None:
    machine(**there)
    with pytest.raises(ConfigError, match=rf"^\[training\] {message}"):
        check_machine(TrainingSettings(steps=1, **asked))


def test_what_is_there_may_be_used(machine: Callable[..., None]) -> None:
    machine(gpus=4)
    for asked in ({"devices": 4, "strategy": "fsdp"}, {"precision": "16-mixed"}, {"accelerator": "gpu"}):
        check_machine(TrainingSettings(steps=1, **asked))
    machine()
    # processes on a CPU are as many as one likes
    check_machine(TrainingSettings(steps=1, devices=8, precision="bf16-mixed"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "fsdp"}, "strategy fsdp needs GPUs"),
        ({"precision": "16-mixed"}, "precision 16-mixed needs a GPU"),
        ({"tensorboard": True}, "tensorboard = true needs the tensorboard package"),
    ],
)
def test_a_run_is_refused_before_it_leaves_anything(
    data: Path, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    for start in (plan_run, pretrain):
        with pytest.raises(ConfigError, match=message):
            start(recipe(**changes), data, data / "out")
    assert not (data / "out").exists()
