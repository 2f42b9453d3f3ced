"""The head of a fine-tuned model: features to outputs, outputs to what the task asks for."""

import math
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.heads.lift import RadialLift

# what the outputs of a head mean
LINKS = ("identity", "sigmoid", "softmax")
# what turns standardised values into those of the user
_UNITS = ("target_centre", "target_scale")


class PredictionHead(nn.Module):
    """Standardise features (N, F), lift them where the head is curved, and map them linearly to outputs (N, O).

    Features beyond those that the lift was made for pass it by: a head may be curved in some and linear in others.
    The outputs are standardised values (identity), or logits. `spread` (M + 1, M + 1) turns lifted features and a
    one into a vector whose square is the variance of the output in units of the noise (Bayesian ridge regression).
    `target_centre` and `target_scale` (O,) stay on the CPU in float64: values may differ in their last digits alone.
    """

    lift: RadialLift | None
    centre: Tensor
    scale: Tensor
    target_centre: Tensor
    target_scale: Tensor
    noise: Tensor
    spread: Tensor

    def __init__(self, features: int, outputs: int, link: str, lift: RadialLift | None = None) -> None:
        super().__init__()
        width = features if lift is None else features - lift.landmarks.shape[1] + lift.root.shape[1]
        self.link, self.lift = link, lift
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.weight = nn.Parameter(torch.zeros(outputs, width))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.target_centre = torch.zeros(outputs, dtype=torch.float64)
        self.target_scale = torch.ones(outputs, dtype=torch.float64)
        self.register_buffer("noise", torch.zeros(outputs))
        self.register_buffer("spread", torch.zeros(0, 0))

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, F) to standardised values or logits (N, O)."""
        return F.linear(self.lifted(features), self.weight, self.bias)

    def lifted(self, features: Tensor) -> Tensor:
        """Return what the linear map sees, (N, M)."""
        points = (features - self.centre) / self.scale
        if self.lift is None:
            return points
        width = self.lift.landmarks.shape[1]
        return torch.cat((self.lift(points[:, :width]), points[:, width:]), dim=-1)

    @torch.no_grad()
    def predict(self, features: Tensor) -> Tensor:
        """Return values in their own units, or probabilities, (N, O)."""
        return self.answer(self(features))

    def answer(self, outputs: Tensor) -> Tensor:
        """Turn outputs (N, O) into values in their own units, float64 on the CPU, or probabilities."""
        if self.link == "sigmoid":
            return outputs.sigmoid()
        if self.link == "softmax":
            return outputs.softmax(-1)
        return outputs.cpu().double() * self.target_scale + self.target_centre

    @torch.no_grad()
    def deviation(self, features: Tensor) -> Tensor | None:
        """Return the standard deviation (N, O) of values in their own units; None where it is not known."""
        if not self.spread.numel():
            return None
        seen = self.lifted(features)
        seen = torch.cat((seen, seen.new_ones(len(seen), 1)), dim=-1)
        variance = 1 + (seen @ self.spread).square().sum(-1, keepdim=True)
        return (self.noise * variance.sqrt()).cpu().double() * self.target_scale

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that `of` needs."""
        found = {**self.state_dict(), **{name: getattr(self, name) for name in _UNITS}}
        found["spread"] = packed(self.spread)
        return {name: part.detach().cpu().contiguous() for name, part in found.items()}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], link: str) -> Self:
        """Put together what `tensors` took apart; KeyError where a tensor is missing, ValueError where one is cut."""
        tensors = {**tensors, "spread": unpacked(tensors["spread"])}
        lift = None
        if "lift.landmarks" in tensors:
            lift = RadialLift(*(tensors[f"lift.{name}"] for name in ("landmarks", "gamma", "root")))
        head = cls(len(tensors["centre"]), len(tensors["bias"]), link, lift)
        head.spread = torch.zeros_like(tensors["spread"])
        head.load_state_dict({name: part for name, part in tensors.items() if name not in _UNITS})
        return head.set_(**{name: tensors[name] for name in _UNITS}).requires_grad_(False)

    def set_(self, **values: Any) -> Self:
        """Write numbers into the tensors of these names; return the head."""
        with torch.no_grad():
            for name, value in values.items():
                new = torch.as_tensor(value, dtype=torch.float64 if name in _UNITS else torch.float32)
                old = getattr(self, name)
                if isinstance(old, nn.Parameter):
                    old.copy_(new.reshape(old.shape))
                else:
                    setattr(self, name, new)
        return self


def packed(matrix: Tensor) -> Tensor:
    """Return the upper triangle (M * (M + 1) / 2,) of a matrix (M, M) that has nothing below it; others unchanged."""
    if not matrix.numel() or bool(matrix.tril(-1).any()):
        return matrix
    return matrix[_upper(len(matrix), matrix)]


def unpacked(found: Tensor) -> Tensor:
    """Return the matrix that was packed; one that was not, as files of before hold it, is unchanged."""
    if found.dim() != 1:
        return found
    size = (math.isqrt(8 * len(found) + 1) - 1) // 2
    if size * (size + 1) // 2 != len(found):
        raise ValueError(f"spread has {len(found)} numbers, which make no triangle")
    matrix = found.new_zeros(size, size)
    matrix[_upper(size, found)] = found
    return matrix


def _upper(size: int, like: Tensor) -> Tensor:
    """Mark the diagonal and what is above it, (M, M)."""
    return torch.ones(size, size, dtype=torch.bool, device=like.device).triu()
