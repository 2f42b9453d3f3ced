"""The boundaries of packed sequences: checked at the door of every primitive."""

import torch
from torch import Tensor


def check_cu_seqlens(cu_seqlens: Tensor, batch: int, time: int) -> int:
    """Return the number of packed sequences, or raise ValueError when the boundaries do not fit (batch, time)."""
    if not isinstance(cu_seqlens, Tensor):
        raise ValueError(f"cu_seqlens must be a tensor (N + 1,) int32, got {type(cu_seqlens).__name__}")
    if batch != 1:
        raise ValueError(f"cu_seqlens needs a batch of one packed row, got B = {batch}")
    if cu_seqlens.dim() != 1 or len(cu_seqlens) < 2 or cu_seqlens.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"cu_seqlens must be (N + 1,) int32, got {tuple(cu_seqlens.shape)} {cu_seqlens.dtype}"
        )
    bounds = cu_seqlens.tolist()
    if bounds[0] != 0 or bounds[-1] != time:
        raise ValueError(f"cu_seqlens must run from 0 to T = {time}, got {bounds[0]} to {bounds[-1]}")
    for row, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False)):
        if stop <= start:
            raise ValueError(
                f"cu_seqlens: sequence {row} must hold at least one token, got {start} to {stop}"
            )
    return len(bounds) - 1


def find_bounds(batch: int, time: int, cu_seqlens: Tensor | None) -> tuple[int, ...]:
    """Return where sequences begin and end in B x T tokens laid end to end."""
    if cu_seqlens is None:
        return tuple(range(0, batch * time + 1, time))
    return tuple(cu_seqlens.tolist())
