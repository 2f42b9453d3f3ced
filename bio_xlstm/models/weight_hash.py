"""A hash of configuration and weights, and how to notice that it is out of date."""

import hashlib
import json

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig


class WeightHash:
    """Hash a network's weights, again only when one of them was written to."""

    def __init__(self) -> None:
        self._known: tuple[tuple[int, ...], str] = ((), "")

    def of(self, network: nn.Module, config: ModelConfig) -> str:
        """Return the hash of configuration and weights, in the dtype they have now."""
        weights = list(network.parameters())
        versions = (*(number for weight in weights for number in _version(weight)), *_sums(weights))
        if self._known[0] != versions:
            self._known = versions, hash_in(network, config)
        return self._known[1]


def hash_in(network: nn.Module, config: ModelConfig, dtype: torch.dtype | None = None) -> str:
    """Return the hash of configuration and weights, cast to a dtype or as they are."""
    digest = hashlib.sha256(json.dumps(config.departures(), sort_keys=True).encode())
    for name, weight in sorted(network.state_dict().items()):
        digest.update(name.encode())
        cast = weight.detach().to(dtype or weight.dtype)
        digest.update(cast.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _version(parameter: Tensor) -> tuple[int, int]:
    """Return numbers that change when a parameter is written to or replaced."""
    # tensors made in inference mode keep no count of writes
    return (0 if parameter.is_inference() else parameter._version), parameter.data_ptr()


@torch.no_grad()
def _sums(weights: list[nn.Parameter]) -> list[int]:
    """Return the bits of each weight's sum: what is written through `.data` is counted nowhere else."""
    # read at the speed of memory: a sum in float64 would take five times as long
    sums = torch.stack([weight.sum(dtype=torch.float32) for weight in weights])
    found: list[int] = sums.view(torch.int32).tolist()
    return found
