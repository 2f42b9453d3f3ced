"""Every setting of the training that makes no sense is named."""

from typing import Any

import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.settings import parse_recipe, with_overrides
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
        ({"learning_rate": 1e38}, r"learning_rate must be at most 1e\+30, not 1e\+38"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number, not inf"),
        ({"weight_decay": float("inf")}, "weight_decay must be a finite number, not inf"),
        ({"max_minutes": float("inf")}, "max_minutes must be a finite number, not inf"),
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


def recipe(training: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Describe a recipe with the given training."""
    data = {"kind": "protein", "domains": [{"name": "a", "files": ["a.fasta"]}]}
    return {"model": {"family": "protein"}, "data": data, "training": training, **changes}


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (9, 0), (500, 50), (1000, 100), (10_000, 100)])
def test_a_warmup_that_is_not_said_is_short(steps: int, warmup: int) -> None:
    assert parse_recipe(recipe({"steps": steps})).training.warmup == warmup
    assert parse_recipe(recipe({"steps": 10_000, "warmup": 100})).training.warmup == 100


def test_a_warmup_ends_before_the_run() -> None:
    message = r"^\[training\] warmup \(10\) must be shorter than steps \(10\), or the learning rate is never reached"
    with pytest.raises(ConfigError, match=message):
        parse_recipe(recipe({"steps": 10, "warmup": 10}))
    with pytest.raises(ConfigError, match=message):
        with_overrides(parse_recipe(recipe({"steps": 20, "warmup": 10})), steps=10)


@pytest.mark.parametrize("name", ["", " ", "../../x", "a/b", "a\\b", ".x", "a\nb"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(
        ConfigError, match="^name must begin with a letter or digit and hold no slashes, such as"
    ):
        parse_recipe(recipe({"steps": 1}, name=name))
    assert parse_recipe(recipe({"steps": 1}, name="My proteins 2.1 (α)")).name == "My proteins 2.1 (α)"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (recipe({}), r"^\[training\] is incomplete: steps is missing$"),
        (
            recipe({}, data={"domains": [{}]}),
            r"^\[\[data.domains\]\] is incomplete: name and files are missing$",
        ),
        (recipe({"steps": 1}, data={}), r"^\[data\] is incomplete: kind is missing$"),
    ],
)
def test_what_is_missing_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_recipe(table)


def test_a_step_has_parts_on_all_devices() -> None:
    settings = TrainingSettings(steps=1, devices=4, nodes=2, accumulate=3)
    assert (settings.processes, settings.parts) == (8, 24)
