"""The weights of a stack of layers as decoding reads them, laid out once."""

from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.kernels.mixer.weights import MixerWeights, PackedWeights, can_pack, pack


class DecodeWeights(NamedTuple):
    """Hold a layer's weights between its projections as they are, and packed for compiled backends where they fit."""

    plain: MixerWeights
    packed: PackedWeights | None
    gates: Tensor | None  # (G, 2 I) of the packed gates, one row per gate


class LayerWeights(NamedTuple):
    """Hold the weights of a residual block of width D: norm, up-projection, what is between, down-projection."""

    norm: Tensor  # (D,)
    up: Tensor  # (2 I, D)
    up_bias: Tensor | None  # (2 I,)
    mixer: DecodeWeights
    down: Tensor  # (D, I)
    down_bias: Tensor | None  # (D,)


class StackWeights(NamedTuple):
    """Hold the weights from token ids to logits."""

    embedding: Tensor  # (vocabulary, D)
    layers: list[LayerWeights]
    norm: Tensor  # (D,)
    head: Tensor  # (vocabulary, D)
    eps: float  # of every norm


def prepare(weights: MixerWeights) -> DecodeWeights:
    """Lay out the weights of a layer between its projections; make it anew when they change."""
    plain = MixerWeights(*(None if part is None else part.detach() for part in weights))  # type: ignore[arg-type]
    if not can_pack(plain):
        return DecodeWeights(plain, None, None)
    # autocast would round the products of maps
    with torch.autocast(plain.conv.device.type, enabled=False):
        packed = pack(plain)
    return DecodeWeights(plain, packed, packed.gates.T.contiguous())
