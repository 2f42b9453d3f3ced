"""What every token of the mLSTM reads: tiles of queries against tiles of keys, and the memory entering the chunk."""

# the parameters of kernels are pointers, tiles and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

import torch
import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.mlstm.triton_gates import Gates
from bio_xlstm.kernels.mlstm.triton_plan import Plan
from bio_xlstm.kernels.mlstm.triton_tile import (
    arithmetic,
    join,
    load_block,
    locate,
    locate_last,
    multiply,
    normaliser,
    tuned,
)


@tuned(
    [(32, 32, 4, 1), (32, 64, 4, 2), (64, 64, 4, 2), (64, 64, 8, 2), (64, 128, 8, 2), (128, 128, 8, 2)],
    key=["K", "V", "TILE", "DOT", "PRECISION", "MEMORY"],
)
@triton.jit
def _output_kernel(
    q_ptr, k_ptr, v_ptr, log_i_ptr, log_f_ptr, prefix_ptr, suffix_ptr, m_ptr, read_ptr, memory_ptr,
    first_ptr, size_ptr, h_ptr, amount_ptr, heads, tiles, factor, eps,
    K: tl.constexpr, V: tl.constexpr, TILE: tl.constexpr, REVERSE: tl.constexpr, NORMALIZE: tl.constexpr,
    MEMORY: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """Compute some columns of h for one tile of queries."""
    chunk, tile = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles
    block, head = tl.program_id(1), tl.program_id(2)
    if tile * TILE >= tl.load(size_ptr + chunk):
        return
    row, inside = locate(first_ptr, size_ptr, chunk, head, tile, heads, TILE, REVERSE)
    value = block * BLOCK_V + tl.arange(0, BLOCK_V)
    inside_v = value < V
    prefix = tl.load(prefix_ptr + row, mask=inside, other=0.0)
    # no decay survives an infinite stabiliser: rows that do not exist stay zero
    m = tl.load(m_ptr + row, mask=inside, other=float("inf"))
    log_i = tl.load(log_i_ptr + row, mask=inside, other=-float("inf"))
    log_f = tl.load(log_f_ptr + row, mask=inside, other=0.0)
    own = join(log_i, log_f, TILE)
    amount = tl.zeros((TILE,), tl.float32)
    out = tl.zeros((TILE, BLOCK_V), tl.float32)
    between = 0.0
    # from the tile of the queries back to the first of the chunk
    for back in range(0, tile + 1):
        other = tile - back
        row_k, inside_k = locate(first_ptr, size_ptr, chunk, head, other, heads, TILE, REVERSE)
        scores = tl.zeros((TILE, TILE), tl.float32)
        for start in range(0, K, BLOCK_K):
            key = start + tl.arange(0, BLOCK_K)
            q = load_block(q_ptr, row, inside, key, K)
            k = load_block(k_ptr, row_k, inside_k, key, K)
            scores += multiply(q, tl.trans(k), DOT, PRECISION)
        suffix = tl.load(suffix_ptr + row_k, mask=inside_k, other=-float("inf"))
        joined = tl.where(back == 0, own, prefix[:, None] + (between + suffix)[None, :])
        scores = scores * factor * tl.exp(joined - m[:, None])
        v = load_block(v_ptr, row_k, inside_k, value, V)
        out += multiply(scores, v, DOT, PRECISION)
        amount += tl.sum(scores, 1)
        last, _ = locate_last(first_ptr, size_ptr, chunk, head, other, heads, TILE, REVERSE)
        between += tl.load(prefix_ptr + last, mask=back > 0, other=0.0)
    if MEMORY:
        base = memory_ptr + (chunk * heads + head) * (K * V + K)
        seen = tl.zeros((TILE, BLOCK_V), tl.float32)
        reached = tl.zeros((TILE,), tl.float32)
        for start in range(0, K, BLOCK_K):
            key = start + tl.arange(0, BLOCK_K)
            q = load_block(q_ptr, row, inside, key, K)
            mask = (key < K)[:, None] & inside_v[None, :]
            c = tl.load(base + key[:, None] * V + value[None, :], mask=mask, other=0.0)
            n = tl.load(base + K * V + key, mask=key < K, other=0.0)
            seen += multiply(q, c, DOT, PRECISION)
            reached += tl.sum(q.to(tl.float32) * n[None, :], 1)
        read = tl.load(read_ptr + row, mask=inside, other=0.0) * factor
        out = out + seen * read[:, None]
        amount = amount + reached * read
    scale, _ = normaliser(amount, tl.where(inside, m, 0.0), eps, NORMALIZE)
    mask = inside[:, None] & inside_v[None, :]
    h = out * scale[:, None]
    tl.store(h_ptr + row[:, None] * V + value[None, :], h.to(h_ptr.dtype.element_ty), mask=mask)
    if block == 0:
        tl.store(amount_ptr + row, amount, mask=inside)


def read_outputs(
    plan: Plan, gates: Gates, q: Tensor, k: Tensor, v: Tensor, memory: Tensor | None, normalize: bool
) -> tuple[Tensor, Tensor]:
    """Return h (T, H, V) and n.q (T, H) from the memory entering each chunk (None where all are zero)."""
    _, heads, key = q.shape
    value = v.shape[2]
    h, amount = torch.empty_like(v), torch.empty_like(gates.m)

    def grid(meta: dict[str, int]) -> tuple[int, int, int]:
        """Give each tile and each block of columns a program."""
        return plan.chunks * plan.tiles, triton.cdiv(value, meta["BLOCK_V"]), heads

    _output_kernel[grid](
        q,
        k,
        v,
        gates.log_i,
        gates.log_f,
        gates.prefix,
        gates.suffix,
        gates.m,
        gates.read,
        gates.m if memory is None else memory,
        plan.first,
        plan.size,
        h,
        amount,
        heads,
        plan.tiles,
        key**-0.5,
        EPS,
        K=key,
        V=value,
        TILE=plan.tile,
        REVERSE=plan.reverse,
        NORMALIZE=normalize,
        MEMORY=memory is not None,
        **arithmetic(q, k, v),
    )
    return h, amount
