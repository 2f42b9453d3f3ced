"""AdamW and what it follows: which weights decay, the learning rate of every step."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

# what FSDP adds to the names of the parameters of a block that it wraps
_WRAPPED = "_fsdp_wrapped_module."

Named = Iterable[tuple[str, nn.Parameter]]


def plain_name(name: str) -> str:
    """Return a parameter's name as it was before any strategy wrapped the model."""
    return name.replace(_WRAPPED, "")


def undecayed_names(model: SequenceModel) -> frozenset[str]:
    """Name the parameters that the model wants kept from weight decay.

    It is asked before a strategy changes the model: shards are flat, and no longer tell a matrix from a vector.
    """
    kept = {id(parameter) for parameter in model.parameter_groups()[1]["params"]}
    return frozenset(name for name, parameter in model.named_parameters() if id(parameter) in kept)


def make_optimizer(named: Named, undecayed: frozenset[str], settings: TrainingSettings) -> AdamW:
    """Divide the parameters into those that decay and those that do not."""
    parameters = [(plain_name(name), parameter) for name, parameter in named]
    groups = [
        {"params": [parameter for name, parameter in parameters if (name in undecayed) is kept]}
        for kept in (False, True)
    ]
    optimizer = AdamW(groups)
    follow(optimizer, 0, settings)
    return optimizer


def follow(optimizer: Optimizer, step: int, settings: TrainingSettings) -> None:
    """Set what the recipe says about a step; a run that goes on with a changed recipe obeys the new one."""
    for group, decays in zip(optimizer.param_groups, (True, False), strict=True):
        group["lr"] = settings.learning_rate * rate(step, settings)
        group["betas"] = settings.betas
        group["weight_decay"] = settings.weight_decay if decays else 0.0


def rate(step: int, settings: TrainingSettings) -> float:
    """Return the learning rate of a step as a share of the largest: linear warm-up, then cosine or constant."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return 1.0
    floor = settings.final_learning_rate / settings.learning_rate
    done = min(1.0, (step - settings.warmup) / max(1, settings.steps - settings.warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def clip_gradients(model: nn.Module, largest: float) -> torch.Tensor:
    """Scale the whole gradient down to a largest norm (0: any); return the norm that it had."""
    limit = largest or math.inf
    # under FSDP every process holds a part of the gradient, and the root knows how to add them up
    whole = getattr(model, "clip_grad_norm_", None)
    norm: torch.Tensor = whole(limit) if whole else nn.utils.clip_grad_norm_(model.parameters(), limit)
    return norm
