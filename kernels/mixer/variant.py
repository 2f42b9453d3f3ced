"""What a mixer may do beside the plain recurrence: turn queries and keys by position, look ahead."""

from typing import NamedTuple

import torch
from torch import Tensor


class Rotation(NamedTuple):
    """Rotary positions (Su et al. 2021): pairs of neighbouring channels turn by position times frequency.

    What a query finds of a key then depends on how far apart they are.
    """

    cos: Tensor  # (P, R) one row per distinct position, one column per pair of channels
    sin: Tensor  # (P, R)
    rows: Tensor  # (B, T) the row of every token
    before_gates: bool = False  # whether gates see what was turned: R pairs are all channels, not one head's

    def mirrored(self) -> "Rotation":
        """Turn the other way, as for sequences that are read right to left."""
        return self._replace(sin=-self.sin)

    def piece(self, span: slice) -> "Rotation":
        """Take tokens of a batch that was laid end to end."""
        return self._replace(rows=self.rows.flatten()[None, span])


class Variant(NamedTuple):
    """Say how a mixer departs from the plain one."""

    rotation: Rotation | None = None
    centred: bool = False  # the convolution sees as many tokens ahead as behind
    two_sided: bool = False  # the memory is read from both ends at once

    @property
    def looks_ahead(self) -> bool:
        """Tell whether tokens depend on later ones."""
        return self.centred or self.two_sided

    @property
    def gates_first(self) -> bool:
        """Tell whether gates see queries and keys as they are."""
        return self.rotation is None or not self.rotation.before_gates


PLAIN = Variant()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn the pairs of channels of x (B, T, ..., 2 R)."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    cos, sin = (table.to(dtype)[rotation.rows] for table in rotation[:2])  # (B, T, R)
    while cos.dim() < x.dim():
        cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    even, odd = x.to(dtype).unflatten(-1, (-1, 2)).unbind(-1)  # (B, T, ..., R)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)
