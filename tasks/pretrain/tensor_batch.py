"""Packed batches as tensors."""

from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.tasks.pretrain.packing import PackedBatch


class TensorBatch(NamedTuple):
    """Hold one batch, or one part of it, on its way into a model.

    The loss of an optimizer step is the sum of `weights * nats` over all parts of its batch, divided by `total`.
    """

    tokens: Tensor  # (1, T) int64
    targets: Tensor  # (1, T) int64, -100 where nothing is to be predicted
    cu_seqlens: Tensor  # (N + 1,) int32
    positions: Tensor | None  # (1, T) int64, None where they follow from the tokens
    weights: Tensor  # (1, T) float32, 0 where nothing is to be predicted
    total: float  # sum of the weights over all parts of the optimizer step


def as_tensors(batch: PackedBatch) -> TensorBatch:
    """Share the arrays of a batch with tensors."""
    *arrays, total = batch
    tokens, targets, cu_seqlens, positions, weights = (
        None if array is None else torch.from_numpy(array) for array in arrays
    )
    assert tokens is not None and targets is not None and cu_seqlens is not None and weights is not None
    return TensorBatch(tokens, targets, cu_seqlens, positions, weights, total)
