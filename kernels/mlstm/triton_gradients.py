"""Gradients of queries, keys and values of the mLSTM, and the gate gradients each pair of tiles contributes."""

# the parameters of kernels are pointers, tiles and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.mlstm.triton_gates import Gates
from bio_xlstm.kernels.mlstm.triton_plan import Plan
from bio_xlstm.kernels.mlstm.triton_tile import (
    SLOT,
    arithmetic,
    join,
    join_transposed,
    load_block,
    locate,
    locate_last,
    multiply,
    tuned,
)

BLOCKS = [(32, 32, 4, 1), (64, 64, 4, 2), (64, 64, 8, 2), (128, 128, 8, 1), (128, 128, 8, 2)]
KEY = ["K", "V", "TILE", "DOT", "PRECISION", "MEMORY"]


class Pairs(NamedTuple):
    """Hold gradients of logarithms of gate products, by the tokens they join."""

    read: Tensor  # (T, H) of entering memory by token i
    written: Tensor  # (T, H) of token j by leaving memory
    rows: Tensor  # (tiles, T, H) of all tokens of an earlier tile by token i
    columns: Tensor  # (T, H) of token j by tokens of later tiles
    own: Tensor  # (T, H) of token j by tokens of its own tile
    crossing: Tensor  # (T, H) of tokens up to this one by later tokens of its tile


@triton.jit
def _store_slots(ptr, row, inside, block, total, count, values, BLOCK: tl.constexpr, WIDTH: tl.constexpr):
    """Store the sum over a block of columns in its first slot, zeros in its others: slots are WIDTH columns wide."""
    slot = tl.arange(0, BLOCK // WIDTH)
    index = (block * (BLOCK // WIDTH) + slot).to(tl.int64)
    mask = (index < count)[:, None] & inside[None, :]
    tl.store(
        ptr + index[:, None] * total + row[None, :],
        tl.where(slot[:, None] == 0, values[None, :], 0.0),
        mask=mask,
    )


@tuned(BLOCKS, KEY)
@triton.jit
def _query_kernel(
    q_ptr, k_ptr, v_ptr, dh_ptr, log_i_ptr, log_f_ptr, prefix_ptr, suffix_ptr, m_ptr, read_ptr,
    scale_ptr, damount_ptr, memory_ptr, first_ptr, size_ptr, dq_ptr, dread_ptr,
    heads, tiles, total, slots, factor,
    K: tl.constexpr, V: tl.constexpr, TILE: tl.constexpr, REVERSE: tl.constexpr, MEMORY: tl.constexpr,
    SLOT: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """Compute some columns of dq for one tile of queries."""
    chunk, tile = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles
    block, head = tl.program_id(1), tl.program_id(2)
    if tile * TILE >= tl.load(size_ptr + chunk):
        return
    row, inside = locate(first_ptr, size_ptr, chunk, head, tile, heads, TILE, REVERSE)
    key = block * BLOCK_K + tl.arange(0, BLOCK_K)
    prefix = tl.load(prefix_ptr + row, mask=inside, other=0.0)
    # no decay survives an infinite stabiliser: rows that do not exist stay zero
    m = tl.load(m_ptr + row, mask=inside, other=float("inf"))
    scale = tl.load(scale_ptr + row, mask=inside, other=0.0)
    damount = tl.load(damount_ptr + row, mask=inside, other=0.0)
    log_i = tl.load(log_i_ptr + row, mask=inside, other=-float("inf"))
    log_f = tl.load(log_f_ptr + row, mask=inside, other=0.0)
    own = join(log_i, log_f, TILE)
    dq = tl.zeros((TILE, BLOCK_K), tl.float32)
    between = 0.0
    for back in range(0, tile + 1):
        other = tile - back
        row_k, inside_k = locate(first_ptr, size_ptr, chunk, head, other, heads, TILE, REVERSE)
        dscores = tl.zeros((TILE, TILE), tl.float32)
        for start in range(0, V, BLOCK_V):
            value = start + tl.arange(0, BLOCK_V)
            dh = load_block(dh_ptr, row, inside, value, V)
            v = load_block(v_ptr, row_k, inside_k, value, V)
            dscores += multiply(dh, tl.trans(v), DOT, PRECISION)
        suffix = tl.load(suffix_ptr + row_k, mask=inside_k, other=-float("inf"))
        joined = tl.where(back == 0, own, prefix[:, None] + (between + suffix)[None, :])
        dscores = (dscores * scale[:, None] + damount[:, None]) * tl.exp(joined - m[:, None])
        dq += multiply(dscores, load_block(k_ptr, row_k, inside_k, key, K), DOT, PRECISION)
        last, _ = locate_last(first_ptr, size_ptr, chunk, head, other, heads, TILE, REVERSE)
        between += tl.load(prefix_ptr + last, mask=back > 0, other=0.0)
    inside_q = key < K
    if MEMORY:
        base = memory_ptr + (chunk * heads + head) * (K * V + K)
        seen = tl.zeros((TILE, BLOCK_K), tl.float32)
        for start in range(0, V, BLOCK_V):
            value = start + tl.arange(0, BLOCK_V)
            mask = inside_q[:, None] & (value < V)[None, :]
            c = tl.load(base + key[:, None] * V + value[None, :], mask=mask, other=0.0)
            dh = load_block(dh_ptr, row, inside, value, V)
            seen += multiply(dh, tl.trans(c), DOT, PRECISION)
        n = tl.load(base + K * V + key, mask=inside_q, other=0.0)
        read = tl.load(read_ptr + row, mask=inside, other=0.0)
        seen = (seen * scale[:, None] + damount[:, None] * n[None, :]) * read[:, None]
        q = load_block(q_ptr, row, inside, key, K).to(tl.float32)
        _store_slots(dread_ptr, row, inside, block, total, slots, tl.sum(q * seen, 1) * factor, BLOCK_K, SLOT)
        dq = dq + seen
    mask = inside[:, None] & inside_q[None, :]
    tl.store(dq_ptr + row[:, None] * K + key[None, :], (dq * factor).to(dq_ptr.dtype.element_ty), mask=mask)


@tuned(BLOCKS, KEY)
@triton.jit
def _key_value_kernel(
    q_ptr, k_ptr, v_ptr, dh_ptr, log_i_ptr, log_f_ptr, prefix_ptr, suffix_ptr, m_ptr, write_ptr,
    scale_ptr, damount_ptr, leaving_ptr, first_ptr, size_ptr,
    dk_ptr, dv_ptr, written_ptr, rows_ptr, columns_ptr, own_ptr, crossing_ptr,
    heads, tiles, total, slots, factor,
    K: tl.constexpr, V: tl.constexpr, TILE: tl.constexpr, REVERSE: tl.constexpr, MEMORY: tl.constexpr,
    SLOT: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """Compute some columns of dk and of dv for one tile of keys; the first block also sums the gate gradients.

    Scores are held transposed, keys in rows, queries in columns.
    """
    chunk, tile = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles
    block, head = tl.program_id(1), tl.program_id(2)
    size = tl.load(size_ptr + chunk)
    if tile * TILE >= size:
        return
    row, inside = locate(first_ptr, size_ptr, chunk, head, tile, heads, TILE, REVERSE)
    own_key = block * BLOCK_K + tl.arange(0, BLOCK_K)
    own_value = block * BLOCK_V + tl.arange(0, BLOCK_V)
    suffix = tl.load(suffix_ptr + row, mask=inside, other=-float("inf"))
    log_i = tl.load(log_i_ptr + row, mask=inside, other=-float("inf"))
    log_f = tl.load(log_f_ptr + row, mask=inside, other=0.0)
    own = join_transposed(log_i, log_f, TILE)
    dk = tl.zeros((TILE, BLOCK_K), tl.float32)
    dv = tl.zeros((TILE, BLOCK_V), tl.float32)
    columns = tl.zeros((TILE,), tl.float32)
    between = 0.0
    for other in range(tile, tl.cdiv(size, TILE)):
        row_q, inside_q = locate(first_ptr, size_ptr, chunk, head, other, heads, TILE, REVERSE)
        prefix = tl.load(prefix_ptr + row_q, mask=inside_q, other=0.0)
        m = tl.load(m_ptr + row_q, mask=inside_q, other=float("inf"))
        scale = tl.load(scale_ptr + row_q, mask=inside_q, other=0.0)
        damount = tl.load(damount_ptr + row_q, mask=inside_q, other=0.0)
        joined = tl.where(other == tile, own, (suffix + between)[:, None] + prefix[None, :])
        share = tl.exp(joined - m[None, :])
        scores = tl.zeros((TILE, TILE), tl.float32)
        for start in range(0, K, BLOCK_K):
            key = start + tl.arange(0, BLOCK_K)
            k = load_block(k_ptr, row, inside, key, K)
            q = load_block(q_ptr, row_q, inside_q, key, K)
            scores += multiply(k, tl.trans(q), DOT, PRECISION)
        dscores = tl.zeros((TILE, TILE), tl.float32)
        for start in range(0, V, BLOCK_V):
            value = start + tl.arange(0, BLOCK_V)
            v = load_block(v_ptr, row, inside, value, V)
            dh = load_block(dh_ptr, row_q, inside_q, value, V)
            dscores += multiply(v, tl.trans(dh), DOT, PRECISION)
        scores = scores * factor * share
        dscores = dscores * scale[None, :] + damount[None, :]
        own_dh = load_block(dh_ptr, row_q, inside_q, own_value, V)
        dv += multiply(scores * scale[None, :], own_dh, DOT, PRECISION)
        own_q = load_block(q_ptr, row_q, inside_q, own_key, K)
        dk += multiply(dscores * share, own_q, DOT, PRECISION)
        # gradient of the logarithm of each share
        dlog = scores * dscores
        columns += tl.where(other == tile, 0.0, tl.sum(dlog, 1))
        if block == 0:
            if other == tile:
                tl.store(own_ptr + row, tl.sum(dlog, 1), mask=inside)
                j = tl.arange(0, TILE)[:, None]
                i = tl.arange(0, TILE)[None, :]
                earlier = tl.cumsum(dlog, 0)
                tl.store(crossing_ptr + row, tl.sum(tl.where(i > j, earlier, 0.0), 1), mask=inside)
            else:
                tl.store(rows_ptr + tile.to(tl.int64) * total + row_q, tl.sum(dlog, 0), mask=inside_q)
        last, exists = locate_last(first_ptr, size_ptr, chunk, head, other, heads, TILE, REVERSE)
        between += tl.load(prefix_ptr + last, mask=(other > tile) & exists, other=0.0)
    dk = dk * factor
    inside_k = own_key < K
    inside_v = own_value < V
    if MEMORY:
        base = leaving_ptr + (chunk * heads + head) * (K * V + K)
        write = tl.load(write_ptr + row, mask=inside, other=0.0)
        dk_left = tl.zeros((TILE, BLOCK_K), tl.float32)
        for start in range(0, V, BLOCK_V):
            value = start + tl.arange(0, BLOCK_V)
            mask = inside_k[:, None] & (value < V)[None, :]
            dc = tl.load(base + own_key[:, None] * V + value[None, :], mask=mask, other=0.0)
            v = load_block(v_ptr, row, inside, value, V)
            dk_left += multiply(v, tl.trans(dc), DOT, PRECISION)
        dn = tl.load(base + K * V + own_key, mask=inside_k, other=0.0)
        dk_left = (dk_left + dn[None, :]) * write[:, None]
        own_k = load_block(k_ptr, row, inside, own_key, K).to(tl.float32)
        _store_slots(written_ptr, row, inside, block, total, slots, tl.sum(own_k * dk_left, 1), BLOCK_K, SLOT)
        dk = dk + dk_left
        dv_left = tl.zeros((TILE, BLOCK_V), tl.float32)
        for start in range(0, K, BLOCK_K):
            key = start + tl.arange(0, BLOCK_K)
            mask = (key < K)[:, None] & inside_v[None, :]
            dc = tl.load(base + key[:, None] * V + own_value[None, :], mask=mask, other=0.0)
            k = load_block(k_ptr, row, inside, key, K)
            dv_left += multiply(k, dc, DOT, PRECISION)
        dv = dv + dv_left * write[:, None]
    mask = inside[:, None] & inside_k[None, :]
    tl.store(dk_ptr + row[:, None] * K + own_key[None, :], dk.to(dk_ptr.dtype.element_ty), mask=mask)
    mask = inside[:, None] & inside_v[None, :]
    tl.store(dv_ptr + row[:, None] * V + own_value[None, :], dv.to(dv_ptr.dtype.element_ty), mask=mask)
    if block == 0:
        tl.store(columns_ptr + row, columns, mask=inside)


def backward_pairs(
    plan: Plan,
    gates: Gates,
    tokens: tuple[Tensor, Tensor, Tensor],
    dh: Tensor,
    scale: Tensor,
    damount: Tensor,
    memory: Tensor | None,
    leaving: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Pairs]:
    """Return dq, dk, dv (T, H, .) and the gate gradients of pairs.

    ``memory`` enters each chunk, ``leaving`` is the gradient arriving behind it; None where all are zero.
    """
    q, k, v = tokens
    heads, key, value = q.shape[1], q.shape[2], v.shape[2]
    total, slots = gates.m.numel(), triton.cdiv(key, SLOT)
    dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    columns, own, crossing = (torch.empty_like(gates.m) for _ in range(3))
    rows = gates.m.new_empty(plan.tiles, *gates.m.shape)
    read, written = (
        gates.m.new_zeros(1, *gates.m.shape) if x is None else gates.m.new_empty(slots, *gates.m.shape)
        for x in (memory, leaving)
    )

    def query_grid(meta: dict[str, int]) -> tuple[int, int, int]:
        """Give each tile and each block of key columns a program."""
        return plan.chunks * plan.tiles, triton.cdiv(key, meta["BLOCK_K"]), heads

    def key_value_grid(meta: dict[str, int]) -> tuple[int, int, int]:
        """Give each tile and each block of key and value columns a program."""
        blocks = max(triton.cdiv(key, meta["BLOCK_K"]), triton.cdiv(value, meta["BLOCK_V"]))
        return plan.chunks * plan.tiles, blocks, heads

    given = (q, k, v, dh, *gates[:5])
    behind = (heads, plan.tiles, total, slots, key**-0.5)
    shape = {"K": key, "V": value, "TILE": plan.tile, "REVERSE": plan.reverse, "SLOT": SLOT}
    shape = {**shape, **arithmetic(q, k, v, dh)}
    entering = gates.m if memory is None else memory
    places = (scale, damount, entering, plan.first, plan.size)
    _query_kernel[query_grid](
        *given, gates.read, *places, dq, read, *behind, MEMORY=memory is not None, **shape
    )
    places = (scale, damount, gates.m if leaving is None else leaving, plan.first, plan.size)
    out = (dk, dv, written, rows, columns, own, crossing)
    _key_value_kernel[key_value_grid](
        *given, gates.write, *places, *out, *behind, MEMORY=leaving is not None, **shape
    )
    return dq, dk, dv, Pairs(read.sum(0), written.sum(0), rows, columns, own, crossing)
