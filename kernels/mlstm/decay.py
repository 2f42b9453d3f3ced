"""Products of forget gates inside a chunk, from sums of exactly the gates they hold.

A difference of two cumulative sums loses every digit once the sums are long. Here blocks of 1, 2, 4, ... tokens are
joined pairwise: the sum from token j to token i is the rest of j's block plus the beginning of i's block, so nothing
is ever subtracted, and a chunk of L tokens takes log2(L) vector operations.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Decay(NamedTuple):
    """Hold the sums of one chunk in logarithms, each (..., L)."""

    prefix: Tensor  # log f of tokens 0..i
    suffix: Tensor  # log i of token j plus log f of tokens j+1..L-1
    top: Tensor  # running maximum over j <= i of log i of j plus log f of tokens j+1..i
    # per block size s: suffix of the early and prefix of the late half of each block pair, (..., blocks, s)
    levels: list[tuple[Tensor, Tensor]]


def scan_gates(log_i: Tensor, log_f: Tensor) -> Decay:
    """Sum the gates of chunks (..., L), L a power of two."""
    size = log_i.shape[-1]
    prefix, suffix, top = log_f.clone(), log_i.clone(), log_i.clone()
    levels: list[tuple[Tensor, Tensor]] = []
    half = 1
    while half < size:
        p, a, t = (x.view(*log_i.shape[:-1], -1, 2, half) for x in (prefix, suffix, top))
        early, late = a[..., 0, :].clone(), p[..., 1, :].clone()  # (..., blocks, half)
        levels.append((early, late))
        torch.maximum(t[..., 1, :], late + t[..., 0, -1:], out=t[..., 1, :])
        a[..., 0, :] += late[..., -1:]
        p[..., 1, :] += p[..., 0, -1:]
        half *= 2
    return Decay(prefix, suffix, top, levels)


def decay_tile(decay: Decay, log_i: Tensor, shift: Tensor) -> Tensor:
    """Return exp(log i of j + log f of tokens j+1..i - shift of i) for j <= i, zero elsewhere: (..., L, L)."""
    size = log_i.shape[-1]
    tile = torch.full((*log_i.shape, size), -torch.inf, dtype=log_i.dtype, device=log_i.device)
    tile.diagonal(dim1=-2, dim2=-1).copy_(log_i - shift)
    for early, late in decay.levels:
        half = early.shape[-1]
        shape = (*log_i.shape[:-1], -1, 2, half)
        rows = late - shift.view(shape)[..., 1, :]  # (..., blocks, half)
        # (..., blocks, half, blocks, half)
        blocks = tile.view(*shape, size // (2 * half), 2, half)[..., 1, :, :, 0, :]
        target = blocks.diagonal(dim1=-4, dim2=-2)  # (..., half, half, blocks)
        torch.add(rows.mT.unsqueeze(-2), early.mT.unsqueeze(-3), out=target)
    return tile.exp_()


def route_stabiliser(own: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
    """Send gradients of the stabiliser back to the gate each maximum came from.

    ``own`` (..., L) is the gradient of m_i itself; ``taken`` says that m_i is the input gate of token i rather than
    the decayed m_{i-1}. Returns the gradient of m_i through all later tokens of the chunk, and the part of a gradient
    of the last m that reaches m_i (one or zero).
    """
    size = own.shape[-1]
    passes = (~taken).to(own.dtype)
    total, reach = own.clone(), torch.ones_like(own)
    half = 1
    while half < size:
        g, r, p = (x.view(*own.shape[:-1], -1, 2, half) for x in (total, reach, passes))
        g[..., 0, :] += r[..., 0, :] * (p[..., 1, :1] * g[..., 1, :1])
        r[..., 0, :] *= p[..., 1, :1] * r[..., 1, :1]
        half *= 2
    return total, reach
