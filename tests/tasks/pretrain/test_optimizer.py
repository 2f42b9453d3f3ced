"""What decays, how fast it learns, and how large a step may be."""

import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.tasks.pretrain.optimizer import (
    clip_gradients,
    follow,
    make_optimizer,
    rate,
    undecayed_names,
)
from bio_xlstm.tasks.pretrain.portable_checkpoint import align_progress, name_moments
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings


def test_the_rate_rises_then_falls_to_its_floor() -> None:
    settings = TrainingSettings(steps=100, warmup=10, learning_rate=1.0, final_learning_rate=0.1)
    rates = [rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == pytest.approx(1.0)
    assert rates[10] == 1.0 and rates[100] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(rates[9:], rates[10:], strict=False))
    constant = TrainingSettings(steps=100, warmup=10, schedule="constant")
    assert rate(99, constant) == 1.0


def test_matrices_decay_and_nothing_else() -> None:
    model = bx.build("chem", dim=32, blocks=2, heads=2, slstm_at=(1,), bias=True)
    undecayed = undecayed_names(model)
    settings = TrainingSettings(steps=1, weight_decay=0.3)
    # as FSDP has them: flat, and some blocks under another name
    wrapped = [
        (name.replace("blocks.0.", "blocks.0._fsdp_wrapped_module."), torch.nn.Parameter(weight.flatten()))
        for name, weight in model.named_parameters()
    ]
    optimizer = make_optimizer(wrapped, undecayed, settings)
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert len(decays) == len(wrapped)
    for name, parameter in wrapped:
        matrix = any(part in name for part in ("up.weight", "down.weight", "query.weight", "head.weight"))
        if matrix or any(
            part in name for part in ("bias", "norm", "skip", "forget_gate", "embedding", "conv")
        ):
            assert decays[id(parameter)] == (0.3 if matrix else 0.0), name


def test_the_optimizer_follows_the_settings_of_now() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = make_optimizer([("a", weight)], frozenset(), TrainingSettings(steps=10, warmup=0))
    changed = TrainingSettings(
        steps=10, warmup=4, learning_rate=0.4, betas=(0.5, 0.6), weight_decay=0.7, schedule="constant"
    )
    follow(optimizer, 1, changed)
    first, second = optimizer.param_groups
    assert (first["lr"], first["betas"], first["weight_decay"]) == (0.2, (0.5, 0.6), 0.7)
    assert second["weight_decay"] == 0.0


@pytest.mark.parametrize(("largest", "expected"), [(1.0, 1.0), (0.0, 5.0), (9.0, 5.0)])
def test_the_whole_gradient_is_clipped(largest: float, expected: float) -> None:
    model = torch.nn.Linear(1, 1)
    model.weight.grad, model.bias.grad = torch.full((1, 1), 3.0), torch.full((1,), 4.0)
    assert float(clip_gradients(model, largest)) == pytest.approx(5.0)
    assert float(model.weight.grad.square() + model.bias.grad.square()) ** 0.5 == pytest.approx(
        expected, rel=1e-5
    )


def test_moments_are_filed_under_names() -> None:
    state = {"state": {0: "a", 1: "b"}, "param_groups": [{"params": [1], "lr": 1.0}, {"params": [0]}]}
    checkpoint = {"optimizer_states": [state, {}]}
    for _ in range(2):
        # the second time they have names already
        name_moments(checkpoint, ["x", "y"])
        assert state["state"] == {"x": "a", "y": "b"}
        assert state["param_groups"] == [{"params": ["y"], "lr": 1.0}, {"params": ["x"]}]


def test_progress_counts_parts_of_the_present_size() -> None:
    counts = {"ready": 6, "started": 6, "processed": 6, "completed": 5}
    progress = {"total": dict(counts), "current": dict(counts), "is_last_batch": False}
    checkpoint = {"global_step": 6, "loops": {"fit_loop": {"epoch_loop.batch_progress": progress}}}
    align_progress(checkpoint, 4)
    expected = {"ready": 24, "started": 24, "processed": 24, "completed": 23}
    assert progress == {"total": expected, "current": expected, "is_last_batch": False}
