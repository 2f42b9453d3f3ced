"""Every setting of the training that makes no sense is named."""

from typing import Any

import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"precision": "half"},
            r"precision must be one of 32-true, bf16-mixed, 16-mixed, 64-true, not 'half'",
        ),
        ({"strategy": "horovod"}, "strategy must be one of auto, ddp, fsdp, not 'horovod'"),
        ({"accelerator": "tpu"}, "accelerator must be one of auto, cpu, gpu, mps, not 'tpu'"),
        ({"schedule": "saw"}, "schedule must be one of cosine, constant, not 'saw'"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"accumulate": 0}, "accumulate must be at least 1, not 0"),
        ({"devices": 0}, "devices must be at least 1, not 0"),
        ({"workers": -1}, "workers must be at least 0, not -1"),
        ({"warmup": -1}, "warmup must be at least 0, not -1"),
        ({"clip": -1.0}, "clip must be at least 0, not -1.0"),
        ({"clip": float("nan")}, "clip must be at least 0, not nan"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, not 0.0"),
        ({"betas": (0.9,)}, r"betas must be two numbers from 0 to below 1, not \(0.9,\)"),
        ({"betas": (0.9, 1.0)}, r"betas must be two numbers from 0 to below 1, not \(0.9, 1.0\)"),
        ({"betas": (0.9, "b")}, r"betas must be two numbers from 0 to below 1, not \(0.9, 'b'\)"),
        (
            {"strategy": "fsdp", "precision": "64-true"},
            "precision 64-true does not go with strategy fsdp; use ddp",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_every_mistake_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^\[training\] {message}"):
        TrainingSettings(**{"steps": 1, **changes})


def test_a_step_has_parts_on_all_devices() -> None:
    settings = TrainingSettings(steps=1, devices=4, nodes=2, accumulate=3)
    assert (settings.processes, settings.parts) == (8, 24)
