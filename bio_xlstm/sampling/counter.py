"""Random numbers that are functions of what they are for, so that no draw depends on another."""

import torch
from torch import Tensor

# SplitMix64 (Steele, Lea and Flood 2014), in the signed integers that every device has
_STEP = 0x9E3779B97F4A7C15 - 2**64
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def exponential(
    seed: int, numbers: Tensor, places: Tensor, width: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Return exponential variates (n, width) float64 that depend on seed, number (n,), place (n,) and column alone.

    The column of the smallest variate over p is a draw from p: the Gumbel-max trick with one logarithm less.
    """
    key = mixed(torch.tensor(seed + _STEP, device=device))
    for part in (numbers, places):
        key = mixed(key + (part.to(device) + 1) * _STEP)
    columns = torch.arange(1, width + 1, device=device) * _STEP
    bits = _shifted(mixed(key[:, None] + columns), 12)
    # never 0 nor 1, so that no logarithm is infinite or zero
    return bits.double().add_(0.5).mul_(2.0**-52).log_().neg_()


def mixed(keys: Tensor) -> Tensor:
    """Scramble int64 keys, which wrap: the finaliser of SplitMix64."""
    for by, factor in zip((30, 27), _MIX, strict=True):
        keys = (keys ^ _shifted(keys, by)) * factor
    return keys ^ _shifted(keys, 31)


def _shifted(keys: Tensor, by: int) -> Tensor:
    """Shift to the right as unsigned numbers are shifted."""
    return (keys >> by) & ((1 << (64 - by)) - 1)
