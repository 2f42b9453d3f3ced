"""The gates of the mLSTM on a GPU: their products inside tiles and chunks, the stabiliser across chunks.

All arrays are (T, H) or (G, H) in float32: small beside queries, keys and values.
"""

# the parameters of kernels are pointers, tiles and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.mlstm.triton_plan import Plan
from bio_xlstm.kernels.mlstm.triton_tile import join, locate, pick

BLOCK = 64  # chunks the stabiliser passes at once


class Gates(NamedTuple):
    """Hold the gate products that every later kernel reads."""

    log_i: Tensor  # (T, H)
    log_f: Tensor  # (T, H)
    prefix: Tensor  # (T, H) log f of the tile's tokens up to this one
    suffix: Tensor  # (T, H) log i of this token plus log f of the tile's tokens behind it
    m: Tensor  # (T, H)
    read: Tensor  # (T, H) share of the chunk's entering memory seen by each token
    write: Tensor  # (T, H) share of each token left after its chunk
    keep: Tensor  # (G, H) share of the entering memory left after the chunk


@triton.jit
def _sum_kernel(
    log_i_ptr, log_f_ptr, first_ptr, size_ptr, prefix_ptr, suffix_ptr, reach_ptr, top_ptr, total_ptr, peak_ptr,
    heads, TILE: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """Sum the gates of one chunk and take the running maximum of what its tokens write."""
    chunk, head = tl.program_id(0), tl.program_id(1)
    total = 0.0
    peak = -float("inf")
    for tile in range(0, tl.cdiv(tl.load(size_ptr + chunk), TILE)):
        row, inside = locate(first_ptr, size_ptr, chunk, head, tile, heads, TILE, REVERSE)
        log_i = tl.load(log_i_ptr + row, mask=inside, other=-float("inf"))
        log_f = tl.load(log_f_ptr + row, mask=inside, other=0.0)
        joined = join(log_i, log_f, TILE)
        prefix = tl.cumsum(log_f, 0)
        last = tl.arange(0, TILE)[:, None] == TILE - 1
        suffix = tl.sum(tl.where(last, joined, 0.0), 0)
        top = tl.maximum(prefix + peak, tl.max(joined, 1))
        tl.store(prefix_ptr + row, prefix, mask=inside)
        tl.store(suffix_ptr + row, suffix, mask=inside)
        tl.store(reach_ptr + row, prefix + total, mask=inside)
        tl.store(top_ptr + row, top, mask=inside)
        total += tl.sum(log_f, 0)
        peak = pick(top, TILE - 1, TILE)
    index = chunk * heads + head
    tl.store(total_ptr + index, total)
    tl.store(peak_ptr + index, peak)


@triton.jit
def _carry_kernel(
    total_ptr, peak_ptr, bound_ptr, entry_ptr, before_ptr, after_ptr, last_ptr, heads, BLOCK: tl.constexpr
):  # fmt: skip
    """Carry the stabiliser of one sequence over its chunks."""
    sequence, head = tl.program_id(0), tl.program_id(1)
    low, high = tl.load(bound_ptr + sequence), tl.load(bound_ptr + sequence + 1)
    m = tl.load(entry_ptr + sequence * heads + head)
    tl.store(before_ptr + low * heads + head, m)
    for start in range(low, high, BLOCK):
        chunk = start + tl.arange(0, BLOCK)
        inside = chunk < high
        index = chunk * heads + head
        total = tl.load(total_ptr + index, mask=inside, other=0.0)
        peak = tl.load(peak_ptr + index, mask=inside, other=-float("inf"))
        top = tl.max(join(peak, total, BLOCK), 1)
        after = tl.maximum(tl.cumsum(total, 0) + m, top)
        tl.store(after_ptr + index, after, mask=inside)
        tl.store(before_ptr + index + heads, after, mask=chunk + 1 < high)
        m = pick(after, BLOCK - 1, BLOCK)
    tl.store(last_ptr + sequence * heads + head, m)


@triton.jit
def _share_kernel(
    log_f_ptr, first_ptr, size_ptr, suffix_ptr, reach_ptr, top_ptr, total_ptr, before_ptr, after_ptr,
    m_ptr, read_ptr, write_ptr, keep_ptr,
    heads, TILE: tl.constexpr, REVERSE: tl.constexpr, STABILISE: tl.constexpr,
):  # fmt: skip
    """Exponentiate the gate sums of one chunk relative to the stabiliser."""
    chunk, head = tl.program_id(0), tl.program_id(1)
    index = chunk * heads + head
    before = 0.0
    after = 0.0
    if STABILISE:
        before = tl.load(before_ptr + index)
        after = tl.load(after_ptr + index)
    tiles = tl.cdiv(tl.load(size_ptr + chunk), TILE)
    behind = 0.0
    for back in range(0, tiles):
        row, inside = locate(first_ptr, size_ptr, chunk, head, tiles - 1 - back, heads, TILE, REVERSE)
        reach = tl.load(reach_ptr + row, mask=inside, other=0.0) + before
        m = tl.zeros((TILE,), tl.float32)
        if STABILISE:
            m = tl.maximum(reach, tl.load(top_ptr + row, mask=inside, other=0.0))
        suffix = tl.load(suffix_ptr + row, mask=inside, other=0.0) + behind
        tl.store(m_ptr + row, m, mask=inside)
        tl.store(read_ptr + row, tl.exp(reach - m), mask=inside)
        tl.store(write_ptr + row, tl.exp(suffix - after), mask=inside)
        behind += tl.sum(tl.load(log_f_ptr + row, mask=inside, other=0.0), 0)
    tl.store(keep_ptr + index, tl.exp(tl.load(total_ptr + index) + before - after))


def prepare_gates(
    plan: Plan, log_i: Tensor, log_f: Tensor, entry: Tensor | None, stabilise: bool
) -> tuple[Gates, Tensor]:
    """Return the gate products of all tokens (T, H) and the last m (N, H), from m before the first token."""
    heads = log_i.shape[1]
    prefix, suffix, reach, top, m, read, write = (torch.empty_like(log_i) for _ in range(7))
    total, peak, before, after, keep = log_i.new_empty(5, plan.chunks, heads)
    shape = {"heads": heads, "TILE": plan.tile, "REVERSE": plan.reverse}
    chunks, grid = (plan.first, plan.size), (plan.chunks, heads)
    _sum_kernel[grid](log_i, log_f, *chunks, prefix, suffix, reach, top, total, peak, **shape)
    if entry is None:
        # the stabiliser of an empty memory is the maximum over no tokens
        entry = log_i.new_full((plan.sequences, heads), -torch.inf if stabilise else 0.0)
    last = entry.clone(memory_format=torch.contiguous_format)
    if stabilise:
        carry = (plan.bounds, entry.contiguous(), before, after, last)
        _carry_kernel[(plan.sequences, heads)](total, peak, *carry, heads, BLOCK=BLOCK)
    parts = (suffix, reach, top, total, before, after)
    _share_kernel[grid](log_f, *chunks, *parts, m, read, write, keep, **shape, STABILISE=stabilise)
    return Gates(log_i, log_f, prefix, suffix, m, read, write, keep), last
