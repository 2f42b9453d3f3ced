"""Packed batches as tensors."""

from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.tasks.pretrain.packing import PackedBatch


class TensorBatch(NamedTuple):
    """Hold one batch on its way into a model."""

    tokens: Tensor  # (1, T) int64
    targets: Tensor  # (1, T) int64, -100 where nothing is to be predicted
    cu_seqlens: Tensor  # (N + 1,) int32


def as_tensors(batch: PackedBatch) -> TensorBatch:
    """Share the arrays of a batch with tensors."""
    return TensorBatch(*(torch.from_numpy(field) for field in batch))
