"""What is to be computed, and the call that computes it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Shape(NamedTuple):
    """Give the shape of a cell's inputs: B sequences of T tokens, H heads, K = V channels each."""

    batch: int
    time: int
    heads: int
    dim: int

    @property
    def tokens(self) -> int:
        """Count tokens."""
        return self.batch * self.time

    @property
    def inner(self) -> int:
        """Return the width of all heads together."""
        return self.heads * self.dim


class Setting(NamedTuple):
    """Say what is to be computed."""

    shape: Shape
    width: int  # D of the block around the cell
    dtype: torch.dtype
    device: str
    backward: bool

    @property
    def direction(self) -> str:
        """Name the pass."""
        return "forward+backward" if self.backward else "forward"

    def random(self, *size: int) -> Tensor:
        """Draw an input."""
        return torch.randn(*size, device=self.device).to(self.dtype).requires_grad_(self.backward)


def packed(shape: Shape, device: str) -> Tensor:
    """Return the borders of B packed sequences of T tokens."""
    return torch.arange(0, shape.tokens + 1, shape.time, dtype=torch.int32, device=device)


def runner(
    forward: Callable[[], Tensor], leaves: Sequence[Tensor], backward: bool, unused: bool = False
) -> Callable[[], object]:
    """Return a function that runs forward, and with ``backward`` also the gradients of all leaves.

    ``unused`` allows leaves that the result does not depend on.
    """
    wanted = [leaf for leaf in leaves if leaf.requires_grad]

    def run() -> object:
        if not backward:
            with torch.no_grad():
                return forward()
        out = forward()
        return torch.autograd.grad(out, wanted, torch.ones_like(out), allow_unused=unused)

    return run


def module_runner(module: nn.Module, x: Tensor, backward: bool) -> Callable[[], object]:
    """Run a module on an input; of several outputs the first counts."""

    def forward() -> Tensor:
        out = module(x)
        return out if isinstance(out, Tensor) else out[0]

    return runner(forward, [x, *module.parameters()], backward, unused=True)
