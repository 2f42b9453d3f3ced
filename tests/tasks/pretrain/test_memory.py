"""Memory is predicted before a run starts, and what cannot fit is refused."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain import memory as memory_module
from bio_xlstm.tasks.pretrain.activations import Reading, activation_bytes, kept_by_block
from bio_xlstm.tasks.pretrain.language_modeling import loss_share
from bio_xlstm.tasks.pretrain.memory import Memory, predict_memory, tokens_at_once
from bio_xlstm.tasks.pretrain.room import Room, find_room, limits
from bio_xlstm.tasks.pretrain.run import plan_run, pretrain
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

MakeRecipe = Callable[..., Any]

MODELS: list[dict[str, Any]] = [
    {"family": "protein"},
    {"family": "protein", "rotary": "inner"},
    {"family": "protein", "block": "post_up"},
    {"family": "protein", "slstm_at": (0, 1)},
    {"family": "dna", "objective": "masked", "direction": "shared"},
    {"family": "dna", "objective": "masked", "reverse_complement": "equivariant"},
]


def held_numbers(settings: dict[str, Any], blocks: int) -> float:
    """Return the numbers per token that autograd holds of a model put together from torch's operations."""
    chosen = {**settings, "slstm_at": tuple(range(blocks))} if "slstm_at" in settings else settings
    model = bx.build(**chosen, dim=128, heads=4, blocks=blocks, seed=0).train().use_backend("torch")
    tokens = 512
    row = torch.randint(7, 11, (1, tokens))
    bounds = torch.arange(0, tokens + 1, 128, dtype=torch.int32)
    batch = TensorBatch(row, row, bounds, None, torch.ones(1, tokens), float(tokens))
    known = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loss_share(model, batch)
    assert loss.isfinite()
    return sum(held.values()) / tokens / 4


@pytest.mark.parametrize("settings", MODELS, ids=lambda model: "-".join(map(str, model.values())))
def test_blocks_keep_what_is_counted(settings: dict[str, Any]) -> None:
    chosen = {**settings, "slstm_at": (0,)} if "slstm_at" in settings else settings
    config = bx.build(**chosen, dim=128, heads=4, blocks=1).config
    strands = 2 if config.equivariant else 1
    inside = kept_by_block(config, 0, Reading(128, 128, on_cpu=False)).inside
    counted = strands * (2 * config.dim + inside)
    held = held_numbers(settings, 2) - held_numbers(settings, 1)
    assert counted == pytest.approx(held, rel=0.15)


def test_less_is_kept_where_blocks_are_computed_again() -> None:
    config = bx.build("protein", dim=64, heads=2, blocks=12).config
    reading = Reading(512, 512, on_cpu=True)
    kept, again = (
        activation_bytes(config, TrainingSettings(steps=1, checkpoint_blocks=checkpointed), reading)
        for checkpointed in (False, True)
    )
    assert again < kept / 3


def test_short_sequences_keep_more_memories() -> None:
    config = bx.build("protein", dim=64, heads=2, blocks=1).config
    short, long = (kept_by_block(config, 0, Reading(length, 512, on_cpu=True)).inside for length in (16, 512))
    assert short > long


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [({}, 4096), ({"accumulate": 4}, 1024 + 256), ({"devices": 8, "nodes": 4}, 512 + 256)],
)
def test_parts_hold_whole_windows(changes: dict[str, int], tokens: int) -> None:
    settings = TrainingSettings(steps=1, batch_tokens=4096, **changes)
    assert tokens_at_once(settings, 512) == tokens


def test_shards_and_copies_are_counted(recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    model = bx.build("chem", dim=32, blocks=8, heads=2)
    count, block = model.parameter_count, sum(p.numel() for p in model.blocks[0].parameters())
    plain = predict_memory(model, recipe(), 8)
    assert (plain.weights, plain.gradients, plain.moments) == (4 * count, 4 * count, 8 * count)
    double = predict_memory(model, recipe(precision="64-true"), 8)
    assert (double.weights, double.activations) == (2 * plain.weights, 2 * plain.activations)
    room = Room("each of 2 GPUs", False, 80 * 10**9, 79 * 10**9)
    monkeypatch.setattr(memory_module, "find_room", lambda _: room)
    sharded = predict_memory(model, recipe(devices=2, strategy="fsdp", precision="bf16-mixed"), 8)
    assert sharded.moments == 8 * -(-count // 2)
    assert sharded.weights == 4 * (-(-count // 2) + 2 * block) + 2 * count
    assert "on each of 2 GPUs (weights" in sharded.line() and "79.0 GB free" in sharded.line()


def test_the_room_is_that_of_the_device() -> None:
    alone = find_room(TrainingSettings(steps=1, accelerator="cpu"))
    shared = find_room(TrainingSettings(steps=1, accelerator="cpu", devices=2))
    assert (alone.where, shared.where) == ("the CPU", "each of 2 processes")
    assert alone.cpu and 0 <= alone.free <= alone.whole
    assert shared.whole == alone.whole // 2


def test_limits_of_containers_and_jobs_count(tmp_path: Path) -> None:
    inner = tmp_path / "groups" / "system" / "job"
    inner.mkdir(parents=True)
    for folder, limit in ((inner, "max"), (inner.parent, "4000"), (inner.parent.parent, "9000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("1000\n")
    (tmp_path / "cgroup").write_text("1:name=systemd:/\n0::/system/job\n")
    found = list(limits(tmp_path / "groups", tmp_path / "cgroup"))
    assert found == [(4000, 1000), (9000, 1000)]
    assert list(limits(tmp_path / "none", tmp_path / "none")) == []


def test_what_may_not_fit_is_said_and_what_cannot_is_refused() -> None:
    def need(total: int) -> Memory:
        return Memory(100, 100, 200, total - 400, 64, Room("the GPU", False, whole=1000, free=800))

    assert need(700).check() == ""
    for total, words in ((750, "750 B"), (1200, "1.2 KB")):
        assert (
            need(total)
            .check()
            .startswith(f"memory may not suffice: about {words} needed on the GPU, 800 B free")
        )
    with pytest.raises(
        ConfigError, match="needs about 1.3 KB on the GPU, which has 1.0 KB: lower batch_tokens"
    ):
        need(1300).check()
    message = (
        "weights, gradients and moments alone need about 1.1 KB on the GPU, which has 1.0 KB: make it smaller"
    )
    with pytest.raises(ConfigError, match=message):
        need(1100)._replace(moments=900, activations=0).check()
    # nothing is known of some devices
    assert Memory(10**15, 0, 0, 0, 64, Room("the GPU", False)).check() == ""


def test_a_run_says_what_it_needs_and_does_not_start_without_it(
    data: Path, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "bio_xlstm"):
        pretrain(recipe(steps=1), data, data / "out")
    line = next(message for message in caplog.messages if message.startswith("memory"))
    assert "on the CPU (weights" in line and "of 32 tokens at once)" in line
    for free, whole in ((1000, 10**9), (10, 20)):
        monkeypatch.setattr(
            memory_module, "find_room", lambda _, f=free, w=whole: Room("the CPU", True, whole=w, free=f)
        )
        if whole > 20:
            with caplog.at_level(logging.WARNING, "bio_xlstm"):
                pretrain(recipe(steps=1), data, data / "tight")
            assert "memory may not suffice" in caplog.text
        else:
            with pytest.raises(ConfigError, match="weights, gradients and moments alone need about"):
                pretrain(recipe(steps=1), data, data / "small")
            assert not (data / "small").exists()


def test_a_model_that_is_far_too_large_is_refused_before_it_has_weights(
    data: Path, recipe: MakeRecipe
) -> None:
    for size in (200_000, 8_000_000):
        with pytest.raises(ConfigError, match=r"moments alone need about .* on the CPU, which has"):
            plan_run(recipe(model={"dim": size}), data, data / "large")
    with pytest.raises(ConfigError, match=r"^\[model\] cannot be made: .*overflow"):
        plan_run(recipe(model={"dim": 20_000_000_000}), data, data / "large")
    assert not (data / "large").exists()


def test_a_plan_takes_no_memory_for_weights(data: Path, recipe: MakeRecipe) -> None:
    plan = plan_run(recipe(), data, data / "out")
    assert {parameter.device.type for parameter in plan.model.parameters()} == {"meta"}
    assert plan.memory == predict_memory(bx.build(**recipe().model), recipe(), 7)._replace(
        activations=plan.memory.activations, room=plan.memory.room
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident memory as Linux tells it")
def test_the_prediction_is_close_to_what_a_step_takes(root: Path) -> None:
    script = root / "benchmarks" / "training_memory.py"
    command = [sys.executable, str(script), "--case", "mLSTM", "--inside", "kept"]
    # tests of the command leave its settings of the allocator behind
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("THP_", "MALLOC_"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["predicted"] == pytest.approx(found["measured"], rel=0.25)
