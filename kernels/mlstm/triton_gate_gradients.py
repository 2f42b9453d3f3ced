"""Gradients of the gates of the mLSTM: of the normaliser before the heavy kernels, of the gates after them."""

# the parameters of kernels are pointers, tiles and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.mlstm.triton_gates import BLOCK, Gates
from bio_xlstm.kernels.mlstm.triton_gradients import Pairs
from bio_xlstm.kernels.mlstm.triton_plan import Plan
from bio_xlstm.kernels.mlstm.triton_tile import load_block, locate, normaliser, pick


class Outer(NamedTuple):
    """Hold the gradients of the normaliser and of the stabiliser before any other."""

    scale: Tensor  # (T, H) what the numerator was multiplied with
    damount: Tensor  # (T, H) gradient of n.q
    c_weight: Tensor  # (T, H) gradient of the entering c is q dh^T times this
    n_weight: Tensor  # (T, H) gradient of the entering n is q times this
    dm: Tensor  # (T, H) gradient of m_i through the constants added to the normaliser
    dm_entry: Tensor  # (G, H) the same, summed to the m entering each chunk
    passes: Tensor  # (G, H) one where the m entering a chunk also leaves it, but for forgetting


@triton.jit
def _route(own, taken, carry, TILE: tl.constexpr):
    """Add to the gradient of each m those of the later ones that came from it.

    ``taken`` marks an m that its own input gate set; ``carry`` arrives at the last m from behind.
    """
    t = tl.arange(0, TILE)[:, None]
    i = tl.arange(0, TILE)[None, :]
    count = tl.cumsum(taken, 0)
    same = (i >= t) & (count[:, None] == count[None, :])
    total = tl.sum(tl.where(same, own[None, :], 0.0), 1)
    return total + tl.where(count == tl.sum(taken, 0), carry, 0.0)


@triton.jit
def _outer_kernel(
    h_ptr, dh_ptr, amount_ptr, m_ptr, read_ptr, log_i_ptr, first_ptr, size_ptr,
    scale_ptr, damount_ptr, c_weight_ptr, n_weight_ptr, dm_ptr, entry_ptr, passes_ptr, heads, factor, eps,
    V: tl.constexpr, TILE: tl.constexpr, BLOCK_V: tl.constexpr,
    REVERSE: tl.constexpr, NORMALIZE: tl.constexpr, STABILISE: tl.constexpr,
):  # fmt: skip
    """Go through the normalisers of one chunk, from its last token to its first."""
    chunk, head = tl.program_id(0), tl.program_id(1)
    tiles = tl.cdiv(tl.load(size_ptr + chunk), TILE)
    carry = 0.0
    breaks = 0
    for back in range(0, tiles):
        row, inside = locate(first_ptr, size_ptr, chunk, head, tiles - 1 - back, heads, TILE, REVERSE)
        through = tl.zeros((TILE,), tl.float32)
        for start in range(0, V, BLOCK_V):
            value = start + tl.arange(0, BLOCK_V)
            h = load_block(h_ptr, row, inside, value, V).to(tl.float32)
            dh = load_block(dh_ptr, row, inside, value, V).to(tl.float32)
            through += tl.sum(h * dh, 1)
        m = tl.load(m_ptr + row, mask=inside, other=0.0)
        amount = tl.load(amount_ptr + row, mask=inside, other=0.0)
        scale, sign = normaliser(amount, m, eps, NORMALIZE)
        damount = tl.zeros_like(through)
        dm = tl.zeros_like(through)
        # without the normaliser h may be as large as the scale: their product would overflow, and is not needed
        if NORMALIZE:
            damount = -through * scale * sign
            # the stabiliser only moves the constant: |n.q| + eps is (|n.q| exp(m) + eps exp(m)) exp(-m)
            dm = -eps * through * scale
        read = tl.load(read_ptr + row, mask=inside, other=0.0) * factor
        tl.store(scale_ptr + row, scale, mask=inside)
        tl.store(damount_ptr + row, damount, mask=inside)
        tl.store(c_weight_ptr + row, read * scale, mask=inside)
        tl.store(n_weight_ptr + row, read * damount, mask=inside)
        tl.store(dm_ptr + row, dm, mask=inside)
        if STABILISE:
            log_i = tl.load(log_i_ptr + row, mask=inside, other=-float("inf"))
            taken = (inside & (log_i >= m)).to(tl.int32)
            total = _route(tl.where(inside, dm, 0.0), taken, carry, TILE)
            carry = pick(tl.where(taken == 0, total, 0.0), 0, TILE)
            breaks += tl.sum(taken, 0)
    if STABILISE:
        index = chunk * heads + head
        tl.store(entry_ptr + index, carry)
        tl.store(passes_ptr + index, tl.where(breaks == 0, 1.0, 0.0))


@triton.jit
def _carry_kernel(
    entry_ptr, passes_ptr, bound_ptr, last_ptr, behind_ptr, first_ptr, heads, BLOCK: tl.constexpr
):  # fmt: skip
    """Carry the gradient of the stabiliser of one sequence from its last chunk to its first."""
    sequence, head = tl.program_id(0), tl.program_id(1)
    low, high = tl.load(bound_ptr + sequence), tl.load(bound_ptr + sequence + 1)
    carry = tl.load(last_ptr + sequence * heads + head)
    tl.store(behind_ptr + (high - 1) * heads + head, carry)
    blocks = tl.cdiv(high - low, BLOCK)
    for back in range(0, blocks):
        chunk = low + (blocks - 1 - back) * BLOCK + tl.arange(0, BLOCK)
        inside = chunk < high
        index = chunk * heads + head
        entry = tl.load(entry_ptr + index, mask=inside, other=0.0)
        # what arrives behind a chunk reaches its beginning only if the chunk itself lets it pass
        shifted = tl.load(passes_ptr + index - heads, mask=inside & (tl.arange(0, BLOCK) > 0), other=1.0)
        last = tl.minimum(high - 1, low + (blocks - back) * BLOCK - 1)
        reaching = carry * tl.load(passes_ptr + last * heads + head)
        total = _route(entry, (shifted == 0.0).to(tl.int32), reaching, BLOCK)
        tl.store(behind_ptr + index - heads, total, mask=inside & (chunk > low))
        carry = pick(total, 0, BLOCK)
    tl.store(first_ptr + sequence * heads + head, carry)


@triton.jit
def _gate_kernel(
    read_ptr, written_ptr, rows_ptr, columns_ptr, own_ptr, crossing_ptr, log_i_ptr, m_ptr, dm_ptr, behind_ptr,
    keep_ptr, overlap_ptr, first_ptr, size_ptr, di_ptr, df_ptr, heads, total,
    TILE: tl.constexpr, REVERSE: tl.constexpr, STABILISE: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """Sum for every token of a chunk the gradients of all gate products that hold its gates."""
    chunk, head = tl.program_id(0), tl.program_id(1)
    index = chunk * heads + head
    tiles = tl.cdiv(tl.load(size_ptr + chunk), TILE)
    own = tl.arange(0, TILE)[:, None]
    other = tl.arange(0, TILE)[None, :]
    carry = 0.0
    if STABILISE:
        carry = tl.load(behind_ptr + index)
    # the memory that passes the whole chunk is forgotten by every token
    kept = 0.0
    if OVERLAP:
        kept = tl.load(keep_ptr + index) * tl.load(overlap_ptr + index)
    for back in range(0, tiles):
        tile = tiles - 1 - back
        row, inside = locate(first_ptr, size_ptr, chunk, head, tile, heads, TILE, REVERSE)
        # what later tokens of this tile read from before it
        reading = tl.load(read_ptr + row, mask=inside, other=0.0)
        # what passes the whole tile: from earlier tiles to later ones, to the end, from the beginning
        passing = kept
        for earlier in range(0, tile):
            reading += tl.load(rows_ptr + earlier * total + row, mask=inside, other=0.0)
            row_k, inside_k = locate(first_ptr, size_ptr, chunk, head, earlier, heads, TILE, REVERSE)
            passing += tl.sum(tl.load(written_ptr + row_k, mask=inside_k, other=0.0), 0)
        for later in range(tile + 1, tiles):
            row_q, inside_q = locate(first_ptr, size_ptr, chunk, head, later, heads, TILE, REVERSE)
            over = tl.load(read_ptr + row_q, mask=inside_q, other=0.0)
            for earlier in range(0, tile):
                over += tl.load(rows_ptr + earlier * total + row_q, mask=inside_q, other=0.0)
            passing += tl.sum(over, 0)
        # what tokens behind this tile take from earlier tokens of it
        leaving = tl.load(written_ptr + row, mask=inside, other=0.0)
        leaving += tl.load(columns_ptr + row, mask=inside, other=0.0)
        di = leaving + tl.load(own_ptr + row, mask=inside, other=0.0)
        before = row + heads if REVERSE else row - heads
        df = tl.load(crossing_ptr + before, mask=inside & (tl.arange(0, TILE) > 0), other=0.0)
        df += tl.sum(tl.where(other >= own, reading[None, :], 0.0), 1)
        df += tl.sum(tl.where(other < own, leaving[None, :], 0.0), 1) + passing
        if STABILISE:
            log_i = tl.load(log_i_ptr + row, mask=inside, other=-float("inf"))
            m = tl.load(m_ptr + row, mask=inside, other=0.0)
            taken = (inside & (log_i >= m)).to(tl.int32)
            dm = _route(tl.load(dm_ptr + row, mask=inside, other=0.0), taken, carry, TILE)
            di += tl.where(taken == 1, dm, 0.0)
            df += tl.where(taken == 1, 0.0, dm)
            carry = pick(tl.where(taken == 0, dm, 0.0), 0, TILE)
        tl.store(di_ptr + row, di, mask=inside)
        tl.store(df_ptr + row, df, mask=inside)


def backward_normaliser(
    plan: Plan,
    gates: Gates,
    h: Tensor,
    dh: Tensor,
    amount: Tensor,
    key: int,
    normalize: bool,
    stabilise: bool,
) -> Outer:
    """Return the gradients of the normaliser n.q and of the stabiliser from h, dh (T, H, V) and n.q (T, H)."""
    heads, value = h.shape[1:]
    outer = Outer(
        *(torch.empty_like(gates.m) for _ in range(5)), *(torch.empty_like(gates.keep) for _ in range(2))
    )
    _outer_kernel[(plan.chunks, heads)](
        h,
        dh,
        amount,
        gates.m,
        gates.read,
        gates.log_i,
        plan.first,
        plan.size,
        *outer,
        heads,
        key**-0.5,
        EPS,
        V=value,
        TILE=plan.tile,
        BLOCK_V=min(64, max(16, triton.next_power_of_2(value))),
        REVERSE=plan.reverse,
        NORMALIZE=normalize,
        STABILISE=stabilise,
    )
    return outer


def backward_gates(
    plan: Plan,
    gates: Gates,
    outer: Outer,
    pairs: Pairs,
    overlap: Tensor | None,
    dm_last: Tensor,
    stabilise: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of log i and log f (T, H) and of m before the first token (N, H).

    ``overlap`` (G, H) is the product of each chunk's entering memory and the gradient leaving it.
    """
    heads = gates.m.shape[1]
    di, df = torch.empty_like(gates.m), torch.empty_like(gates.m)
    behind, dm_first = torch.empty_like(gates.keep), dm_last
    if stabilise:
        dm_first = torch.empty_like(dm_last)
        carry = (outer.dm_entry, outer.passes, plan.bounds, dm_last.contiguous(), behind, dm_first)
        _carry_kernel[(plan.sequences, heads)](*carry, heads, BLOCK=BLOCK)
    stabiliser = (gates.log_i, gates.m, outer.dm, behind)
    memory = (gates.keep, gates.keep if overlap is None else overlap)
    _gate_kernel[(plan.chunks, heads)](
        *pairs,
        *stabiliser,
        *memory,
        plan.first,
        plan.size,
        di,
        df,
        heads,
        gates.m.numel(),
        TILE=plan.tile,
        REVERSE=plan.reverse,
        STABILISE=stabilise,
        OVERLAP=overlap is not None,
    )
    return di, df, dm_first
