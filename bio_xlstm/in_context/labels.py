"""Labels of a support as the model reads them: numbers of one scale, with what was only bounded marked."""

from typing import NamedTuple

import torch
from torch import Tensor

TASKS = ("binary", "regression")
# of the largest value, below which differences are rounding: answers to equal labels are that label
_ROUNDING = 1e-12
# in units of the spread: a bound that lies farther says no more
_FARTHEST = 1e3


def telling(values: Tensor, relations: Tensor) -> Tensor:
    """Tell which labels (B, N) say anything: not bounds that all measured values of their support keep to anyway."""
    exact = relations == 0
    lowest = torch.where(exact, values, torch.inf).amin(1, keepdim=True)
    highest = torch.where(exact, values, -torch.inf).amax(1, keepdim=True)
    kept = ((relations > 0) & (values <= lowest)) | ((relations < 0) & (values >= highest))
    return ~(kept & exact.any(1, keepdim=True))


class Labels(NamedTuple):
    """Hold the labels of B supports of N examples each, all of one task."""

    values: Tensor  # (B, N) float32: -1 and 1 for classes, standardised numbers for regression
    relations: Tensor  # (B, N) float32: -1 where the true value is below, 1 where it is above, else 0
    task: str
    shift: Tensor  # (B,) what was taken off numbers, 0 for classes
    scale: Tensor  # (B,) what they were divided by, 1 for classes

    @classmethod
    def of_classes(cls, positive: Tensor) -> "Labels":
        """Make labels of classes (B, N): 1 or True for the positive one."""
        values = 2.0 * positive.float() - 1.0
        shift = values.new_zeros(len(values))
        return cls(values, torch.zeros_like(values), "binary", shift, shift + 1)

    @classmethod
    def of_numbers(cls, numbers: Tensor, relations: Tensor | None = None) -> "Labels":
        """Make labels of measured numbers (B, N), standardised by those of their own support that say anything."""
        bounded = torch.zeros_like(numbers) if relations is None else relations
        known = telling(numbers, bounded)
        counts = known.sum(1)
        largest = torch.where(known, numbers.abs(), 0.0).amax(1)
        largest = torch.where(largest > 0, largest, 1.0)
        # in any unit: squares of tiny or huge numbers would be none
        units = torch.where(known, numbers / largest[:, None], 0.0)
        shift = units.sum(1) / counts
        spread = torch.where(known, units - shift[:, None], 0.0).square().sum(1).div(counts).sqrt()
        shift, scale = shift * largest, spread.clamp_min(_ROUNDING) * largest
        values = ((numbers - shift[:, None]) / scale[:, None]).clamp(-_FARTHEST, _FARTHEST)
        return cls(values.float(), bounded.float(), "regression", shift, scale)

    def described(self) -> Tensor:
        """Return what the set reader sees of every label (B, N, 4): value for either task, and the bounds."""
        zero = torch.zeros_like(self.values)
        pair = (self.values, zero) if self.task == "binary" else (zero, self.values)
        return torch.stack([*pair, (self.relations < 0).float(), (self.relations > 0).float()], -1)
