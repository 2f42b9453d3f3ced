"""The gradient of a step does not depend on how the step is computed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.tasks.pretrain.language_modeling import loss_share
from bio_xlstm.tasks.pretrain.packing import IGNORED
from bio_xlstm.tasks.pretrain.run import pretrain
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch

MakeRecipe = Callable[..., Any]

MODELS: list[dict[str, Any]] = [
    {"family": "chem"},
    {"family": "protein", "slstm_at": (0,), "rotary": "inner"},
    {"family": "protein", "block": "post_up"},
    {
        "family": "dna",
        "objective": "masked",
        "reverse_complement": "equivariant",
        "direction": "shared",
        "slstm_at": (1,),
    },
]


def build(model: dict[str, Any], **more: Any) -> Any:
    return bx.build(**model, **more, dim=32, blocks=2, heads=2, seed=0).double().train()


def batch(model: Any) -> TensorBatch:
    """Return four sequences with weights of all kinds."""
    bounds = torch.tensor([0, 1, 9, 20, 33], dtype=torch.int32)
    tokens = torch.randint(0, model.config.vocabulary, (1, 33))
    targets = torch.where(
        torch.rand(1, 33) < 0.3, IGNORED, torch.randint(0, model.config.vocabulary, (1, 33))
    )
    weights = torch.where(targets == IGNORED, 0.0, torch.rand(1, 33, dtype=torch.float64))
    positions = torch.cat([torch.arange(n) for n in bounds.diff().tolist()])[None]
    return TensorBatch(tokens, targets, bounds, positions, weights, float(weights.sum()))


def part(whole: TensorBatch, first: int, last: int) -> TensorBatch:
    """Return the sequences from first to before last."""
    bounds = whole.cu_seqlens[first : last + 1]
    taken = slice(int(bounds[0]), int(bounds[-1]))
    tokens, targets, _, positions, weights, total = whole
    assert positions is not None
    return TensorBatch(
        tokens[:, taken],
        targets[:, taken],
        bounds - bounds[0],
        positions[:, taken],
        weights[:, taken],
        total,
    )


def gradients(model: Any, parts: list[TensorBatch]) -> dict[str, torch.Tensor]:
    model.zero_grad()
    for each in parts:
        loss_share(model, each).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("settings", MODELS, ids=lambda model: "-".join(map(str, model.values())))
def test_parts_add_up_to_the_whole_batch(settings: dict[str, Any]) -> None:
    model = build(settings)
    whole = batch(model)
    expected = gradients(model, [whole])
    for borders in ([0, 1, 4], [0, 2, 3, 4]):
        parts = [part(whole, a, b) for a, b in zip(borders, borders[1:], strict=False)]
        found = gradients(model, parts)
        for name, gradient in expected.items():
            assert (gradient - found[name]).abs().max() < 1e-10, name


@pytest.mark.parametrize("settings", MODELS, ids=lambda model: "-".join(map(str, model.values())))
def test_blocks_that_are_computed_again_give_the_same_gradient(settings: dict[str, Any]) -> None:
    model = build(settings, dropout=0.3)
    whole = batch(model)
    found = []
    for model.checkpointing in (False, True):
        torch.manual_seed(1)
        found.append(gradients(model, [whole]))
    expected, again = found
    for name, gradient in expected.items():
        assert (gradient - again[name]).abs().max() < 1e-10, name


def test_the_loss_is_the_weighted_mean_over_the_step() -> None:
    model = build(MODELS[0])
    whole = batch(model)
    logits = model(whole.tokens, cu_seqlens=whole.cu_seqlens).logits[0]
    chosen = whole.targets[0] != IGNORED
    nats = -logits.log_softmax(-1)[chosen, whole.targets[0, chosen]]
    weights = whole.weights[0, chosen]
    expected = (nats * weights).sum() / weights.sum()
    assert loss_share(model, whole).item() == pytest.approx(expected.item())
    assert loss_share(model, whole._replace(total=0.0, weights=whole.weights * 0)).item() == 0


def test_a_run_in_parts_equals_one_in_whole_batches(
    data: Path, recipe: MakeRecipe, assert_same: Callable[..., None]
) -> None:
    # more parts than a step has windows: some are empty
    for number, accumulate in enumerate((1, 2, 5)):
        settings = recipe(precision="64-true", accumulate=accumulate, clip=0.1)
        result = pretrain(settings, data, data / str(number))
        assert result.steps == 8
    assert_same(data / "0", data / "1", 1e-6)
    assert_same(data / "0", data / "2", 1e-6)


def test_a_run_that_computes_blocks_again_equals_one_that_does_not(
    data: Path, recipe: MakeRecipe, assert_same: Callable[..., None]
) -> None:
    for name, again in (("kept", False), ("again", True)):
        settings = recipe(model={"dropout": 0.2}, precision="64-true", checkpoint_blocks=again)
        pretrain(settings, data, data / name)
    assert_same(data / "kept", data / "again", 1e-9)
