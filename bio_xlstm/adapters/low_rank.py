"""Low-rank changes of weight matrices (LoRA, Hu et al. 2021), dense and block-diagonal.

A change is a parametrization of the weight itself, not a module around its layer: the layers read weights directly.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bio_xlstm.errors import ConfigError
from bio_xlstm.layers.block_diagonal import BlockDiagonal
from bio_xlstm.models.model import SequenceModel

RANK = 8
# tables of the vocabulary change with the data of pre-training, not with an assay
_KINDS = (nn.Linear, BlockDiagonal)


class LowRank(nn.Module):
    """Add B A to a matrix (E, D), or to each of several (G, E, D); nothing is added before training.

    `strength` is the factor of the change, so that learning rates do not depend on the rank.
    """

    def __init__(self, weight: Tensor, rank: int, strength: float) -> None:
        super().__init__()
        *groups, outputs, inputs = weight.shape
        rank = min(rank, outputs, inputs)
        self.factor = strength / rank
        self.down = nn.Parameter(torch.empty(*groups, rank, inputs, device=weight.device))  # A
        self.up = nn.Parameter(torch.zeros(*groups, outputs, rank, device=weight.device))  # B
        nn.init.normal_(self.down, std=inputs**-0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed weight in its own dtype."""
        return weight + (self.factor * (self.up @ self.down)).to(weight.dtype)


def add_low_rank(
    model: SequenceModel, rank: int = RANK, strength: float | None = None, seed: int = 0
) -> list[nn.Parameter]:
    """Give every matrix of the blocks a low-rank change, and return the new weights, the only ones to train.

    Rank 8 with the default strength of twice the rank is what is most often used. ConfigError where there is a change
    already, or nothing to change.
    """
    if rank < 1:
        raise ConfigError(f"the rank of a low-rank change must be at least 1, not {rank}")
    if is_adapted(model):
        raise ConfigError(f"{model.name} has low-rank changes already; merge them first")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in _matrices(model):
            change = LowRank(layer.weight, rank, 2.0 * rank if strength is None else strength)
            parametrize.register_parametrization(layer, "weight", change)
    found = [parameter for change in _changes(model) for parameter in change.parameters()]
    if not found:
        raise ConfigError(f"{model.name} has no matrices to change")
    return found


def merge_low_rank(model: SequenceModel) -> SequenceModel:
    """Write the changes into the weights and forget them: the same numbers, an ordinary model; return it."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return model


def is_adapted(model: SequenceModel) -> bool:
    """Tell whether a model has low-rank changes."""
    return bool(_changes(model))


def _matrices(model: SequenceModel) -> list[nn.Linear | BlockDiagonal]:
    """Return the layers of the blocks whose weights are matrices."""
    return [layer for layer in model.blocks.modules() if isinstance(layer, _KINDS)]


def _changes(model: SequenceModel) -> list[LowRank]:
    """Return the changes in the order of the layers."""
    return [module for module in model.modules() if isinstance(module, LowRank)]
