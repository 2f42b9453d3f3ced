"""Where the convolution finds the first and the last tokens of each sequence, and the window it carries on."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Heads(NamedTuple):
    """Say where the first and last W - 1 tokens of each sequence stand, in reading order, oldest first."""

    token: Tensor  # (N, W - 1) token at each of the first positions; the first token where the sequence is shorter
    valid: Tensor  # (N, W - 1) whether the sequence is that long
    tail: Tensor  # (N, W - 1) token at each of the last positions
    tail_state: Tensor  # (N, W - 1) entry of the old state that stands there in a shorter sequence
    tail_valid: Tensor  # (N, W - 1) whether it is a token
    long: bool  # whether all of them are


# what is kept must serve training too, even if inference asked for it first
@lru_cache(maxsize=32)
@torch.inference_mode(False)
def find_heads(bounds: tuple[int, ...], width: int, reverse: bool, device: torch.device) -> Heads:
    """Locate heads and tails of the sequences between ``bounds``."""
    edges = torch.tensor(bounds)
    start, stop = edges[:-1, None], edges[1:, None]
    first, sign = (stop - 1, -1) if reverse else (start, 1)
    position = torch.arange(width - 1)[None]
    last = stop - start - (width - 1) + position  # (N, W - 1) negative where the old state still counts
    parts = (
        first + sign * torch.where(position < stop - start, position, 0),
        position < stop - start,
        first + sign * last.clamp(min=0),
        (last + width - 1).clamp(max=max(width - 2, 0)),
        last >= 0,
    )
    token, valid, tail, tail_state, tail_valid = (part.to(device) for part in parts)
    return Heads(token, valid, tail, tail_state, tail_valid, bool((last >= 0).all()))


def carry_window(
    x: Tensor, state: Tensor | None, bounds: tuple[int, ...], width: int, reverse: bool
) -> Tensor:
    """Return the last W - 1 inputs (N, W - 1, C) of sequences x (T, C) that began with a state, or with zeros."""
    heads = find_heads(bounds, width, reverse, x.device)
    if heads.long:
        return x[heads.tail]
    if state is None:
        state = x.new_zeros(len(bounds) - 1, width - 1, x.shape[1])
    carried = torch.gather(state.to(x.dtype), 1, heads.tail_state[..., None].expand(-1, -1, x.shape[1]))
    return torch.where(heads.tail_valid[..., None], x[heads.tail], carried)
