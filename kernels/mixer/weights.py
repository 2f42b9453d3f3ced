"""The weights of an mLSTM layer between its two projections, and the form in which compiled loops read them."""

from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

PANEL = 16  # outputs computed together


class MixerWeights(NamedTuple):
    """Hold the weights of the layer; I channels in H heads, diagonal blocks of P channels."""

    conv: Tensor  # (I, W)
    conv_bias: Tensor  # (I,)
    query: Tensor  # (I / P, P, P) groups, outputs, inputs
    key: Tensor  # (I / P, P, P)
    value: Tensor  # (I / P, P, P)
    query_bias: Tensor | None  # (I,)
    key_bias: Tensor | None  # (I,)
    value_bias: Tensor | None  # (I,)
    input_gate: Tensor  # (H, 3 I) reads q, k and v side by side
    input_bias: Tensor  # (H,)
    forget_gate: Tensor  # (H, 3 I)
    forget_bias: Tensor  # (H,)
    norm: Tensor  # (I,)
    skip: Tensor  # (I,)

    @property
    def heads(self) -> int:
        """Return the number of heads H."""
        return len(self.input_bias)

    @property
    def inner(self) -> int:
        """Return the number of channels I."""
        return len(self.norm)


class PackedWeights(NamedTuple):
    """Hold the same weights as float32 panels of 16 outputs, each panel with the inputs it depends on.

    Panel p of a block-diagonal map computes channels 16 p to 16 p + 15 from the `depth` channels that begin at
    16 p // depth * depth. The gates read the convolved and the plain channels directly: their maps of q, k and v are
    multiplied with those that make q, k and v.
    """

    taps: Tensor  # (W, I)
    conv_bias: Tensor  # (I,)
    query: Tensor  # (I / 16, depth, 16), with the factor K**-0.5 of the cell
    key: Tensor  # (I / 16, depth, 16)
    value: Tensor  # (I / 16, depth, 16)
    bias: Tensor  # (3, I) of q, k and v
    gates: (
        Tensor  # (2 I, G) convolved channels first; columns: input gates, forget gates, zeros up to 8 or 16 n
    )
    gate_bias: Tensor  # (G,)
    norm: Tensor  # (I,)
    skip: Tensor  # (I,)


class PreparedWeights:
    """Share weights among calls, between which they do not change: they are checked and laid out once.

    Nothing is laid out before it is needed. With gradients every call lays them out itself, as autograd must see it.
    """

    def __init__(self, plain: MixerWeights) -> None:
        self.plain = plain
        self.layouts: dict[str, Any] = {}  # other layouts of backends, by their names
        self._checked: torch.device | None = None

    @cached_property
    def packed(self) -> PackedWeights:
        """Return the weights in panels."""
        return pack(self.plain)

    def check(self, device: torch.device) -> None:
        """Refuse weights that do not belong together or to a device, with ValueError."""
        if self._checked != device:
            check_weights(self.plain, device)
            self._checked = device


def check_weights(weights: MixerWeights, device: torch.device) -> None:
    """Refuse weights that do not belong together or to a device.

    Raises:
        ValueError: naming the weight and what it should be.
    """
    inner, heads, groups = weights.inner, weights.heads, len(weights.query)
    if not heads or inner % heads:
        raise ValueError(f"the {inner} channels of norm cannot be shared by the {heads} heads of input_bias")
    if not groups or inner % groups:
        raise ValueError(f"query must be (I / P, P, P) with I = {inner}, got {tuple(weights.query.shape)}")
    block, line = inner // groups, (inner,)
    maps, gate = (groups, block, block), (heads, 3 * inner)
    taps = (inner, max(1, weights.conv.shape[-1]))
    shapes = (taps, line, maps, maps, maps, line, line, line, gate, (heads,), gate, (heads,), line, line)
    for name, weight, shape in zip(weights._fields, weights, shapes, strict=True):
        if weight is None:
            if name not in ("query_bias", "key_bias", "value_bias"):
                raise ValueError(f"{name} must have shape {shape}, got None")
            continue
        if tuple(weight.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(weight.shape)}")
        if not weight.is_floating_point():
            raise ValueError(f"{name} must be a floating-point tensor, got {weight.dtype}")
        if weight.device != device:
            raise ValueError(f"{name} is on {weight.device}, the tokens are on {device}")


def can_pack(weights: MixerWeights) -> bool:
    """Tell whether heads and diagonal blocks fit panels of 16 outputs."""
    block, width = weights.query.shape[-1], weights.inner // weights.heads
    return width % PANEL == 0 and (PANEL % block == 0 or block % PANEL == 0)


def pack(weights: MixerWeights) -> PackedWeights:
    """Lay the weights out in panels; differentiable."""
    scale = (weights.inner // weights.heads) ** -0.5
    biases = (weights.query_bias, weights.key_bias, weights.value_bias)
    zero = torch.zeros_like(weights.norm, dtype=torch.float32)
    bias = torch.stack([zero if b is None else b.float() for b in biases])
    query, key, value = (m.float() for m in (weights.query, weights.key, weights.value))
    gates, gate_bias = _fold_gates(weights, (query, key, value), bias)
    return PackedWeights(
        weights.conv.float().T.contiguous(),
        weights.conv_bias.float(),
        _panels(query * scale),
        _panels(key),
        _panels(value),
        torch.cat([bias[:1] * scale, bias[1:]]),
        gates,
        gate_bias,
        weights.norm.float(),
        weights.skip.float(),
    )


def _panels(blocks: Tensor) -> Tensor:
    """Lay out a block-diagonal map (groups, outputs, inputs) as panels (I / 16, depth, 16)."""
    groups, block, _ = blocks.shape
    if block >= PANEL:
        panels = blocks.unflatten(1, (block // PANEL, PANEL))  # (groups, panels, 16, inputs)
        return panels.transpose(-1, -2).flatten(0, 1).contiguous()
    together = PANEL // block
    eye = torch.eye(together, dtype=blocks.dtype, device=blocks.device)
    spread = blocks.mT.unflatten(0, (-1, together))[:, :, :, None] * eye[:, None, :, None]
    return spread.reshape(groups // together, PANEL, PANEL)  # (panels, inputs, outputs)


def _fold_gates(
    weights: MixerWeights, maps: tuple[Tensor, Tensor, Tensor], bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gates as maps of the convolved and plain channels (2 I, G), and their biases (G,)."""
    both = torch.cat([weights.input_gate, weights.forget_gate]).float()  # (2 H, 3 I)
    parts = both.unflatten(1, (3, -1))  # (2 H, 3, I)
    # gate of y = M x: the rows of the gate's weights times M, block by block
    from_q, from_k, from_v = (
        torch.einsum("rgo,goi->rgi", part.unflatten(1, m.shape[:2]), m).flatten(1)
        for part, m in zip(parts.unbind(1), maps, strict=True)
    )
    rows = torch.cat([from_q + from_k, from_v], dim=1)  # (2 H, 2 I)
    shift = torch.cat([weights.input_bias, weights.forget_bias]).float() + (parts * bias).sum((1, 2))
    padding = -len(rows) % (PANEL if len(rows) > PANEL // 2 else PANEL // 2)
    return torch.nn.functional.pad(rows.T, (0, padding)).contiguous(), torch.nn.functional.pad(
        shift, (0, padding)
    )
