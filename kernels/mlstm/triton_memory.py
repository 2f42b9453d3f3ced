"""The memory entering every chunk of the mLSTM, and the gradient leaving it: local updates, then a scan over chunks.

A memory is one row of K * V + K floats: c, then n. Updates are computed for all chunks at once; the scan is
elementwise, and over very long sequences it is cut into segments that are scanned at once too.
"""

# the parameters of kernels are pointers, tiles and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.mlstm.triton_plan import Plan
from bio_xlstm.kernels.mlstm.triton_tile import (
    arithmetic,
    load_block,
    locate,
    multiply,
    tuned,
)

# columns with which a GPU is busy: where there are as many, a scan need not be cut into segments
BUSY = 1 << 20


class Memories(NamedTuple):
    """Hold what a scan over chunks leaves behind."""

    entering: Tensor  # (G, H, K * V + K) memory before each chunk, in the direction of the scan
    last: Tensor  # (N, H, K * V + K) memory behind the last chunk of each sequence
    overlap: Tensor | None  # (G, H) sum of products with another memory


@tuned(
    [(32, 32, 4, 2), (64, 64, 4, 2), (64, 64, 4, 3), (64, 128, 8, 2), (128, 64, 8, 2), (128, 128, 8, 2)],
    key=["K", "V", "TILE", "DOT", "PRECISION"],
)
@triton.jit
def _update_kernel(
    x_ptr, y_ptr, weight_ptr, amount_ptr, first_ptr, size_ptr, update_ptr, heads,
    K: tl.constexpr, V: tl.constexpr, TILE: tl.constexpr, REVERSE: tl.constexpr,
    DOT: tl.constexpr, PRECISION: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """Sum weight * x y^T and amount * x over the tokens of one chunk."""
    chunk, block, head = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    value_blocks = tl.cdiv(V, BLOCK_V)
    key = (block // value_blocks) * BLOCK_K + tl.arange(0, BLOCK_K)
    value = (block % value_blocks) * BLOCK_V + tl.arange(0, BLOCK_V)
    c = tl.zeros((BLOCK_K, BLOCK_V), tl.float32)
    n = tl.zeros((BLOCK_K,), tl.float32)
    for tile in range(0, tl.cdiv(tl.load(size_ptr + chunk), TILE)):
        row, inside = locate(first_ptr, size_ptr, chunk, head, tile, heads, TILE, REVERSE)
        x = load_block(x_ptr, row, inside, key, K).to(tl.float32)
        y = load_block(y_ptr, row, inside, value, V)
        weight = tl.load(weight_ptr + row, mask=inside, other=0.0)
        amount = tl.load(amount_ptr + row, mask=inside, other=0.0)
        c += multiply(tl.trans(x * weight[:, None]), y, DOT, PRECISION)
        n += tl.sum(x * amount[:, None], 0)
    out = update_ptr + (chunk * heads + head) * (K * V + K)
    inside_k = key < K
    mask = inside_k[:, None] & (value < V)[None, :]
    tl.store(out + key[:, None] * V + value[None, :], c, mask=mask)
    if block % value_blocks == 0:
        tl.store(out + K * V + key, n, mask=inside_k)


@triton.jit
def _scan_kernel(
    update_ptr, keep_ptr, bound_ptr, entry_ptr, last_ptr, product_ptr, other_ptr, overlap_ptr, heads, width,
    BLOCK: tl.constexpr, BACKWARDS: tl.constexpr, ENTRY: tl.constexpr, STORE: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """Carry some columns of a memory over the chunks of one run; leave what enters each chunk in its update."""
    run, block, head = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    column = block * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    low, high = tl.load(bound_ptr + run), tl.load(bound_ptr + run + 1)
    memory = tl.zeros((BLOCK,), tl.float32)
    if ENTRY:
        memory = tl.load(entry_ptr + (run * heads + head) * width + column, mask=inside, other=0.0)
    product = 1.0
    for step in range(0, high - low):
        chunk = high - 1 - step if BACKWARDS else low + step
        index = chunk * heads + head
        place = index * width + column
        update = tl.load(update_ptr + place, mask=inside, other=0.0)
        keep = tl.load(keep_ptr + index)
        if OVERLAP:
            other = tl.load(other_ptr + place, mask=inside, other=0.0)
            tl.store(overlap_ptr + index * tl.num_programs(1) + block, tl.sum(memory * other, 0))
        if STORE:
            tl.store(update_ptr + place, memory, mask=inside)
        memory = update + keep * memory
        product *= keep
    tl.store(last_ptr + (run * heads + head) * width + column, memory, mask=inside)
    if block == 0:
        tl.store(product_ptr + run * heads + head, product)


def sum_updates(plan: Plan, x: Tensor, y: Tensor, weight: Tensor, amount: Tensor) -> Tensor:
    """Return the sums of weight * x y^T and amount * x over each chunk (G, H, K * V + K)."""
    heads, key, value = x.shape[1], x.shape[2], y.shape[2]
    update = weight.new_empty(plan.chunks, heads, key * value + key)

    def grid(meta: dict[str, int]) -> tuple[int, int, int]:
        """Give each block of each memory a program."""
        blocks = triton.cdiv(key, meta["BLOCK_K"]) * triton.cdiv(value, meta["BLOCK_V"])
        return plan.chunks, blocks, heads

    chunks = (plan.first, plan.size)
    shape = {"K": key, "V": value, "TILE": plan.tile, "REVERSE": plan.reverse}
    _update_kernel[grid](x, y, weight, amount, *chunks, update, heads, **shape, **arithmetic(x, y))
    return update


def _scan(
    update: Tensor,
    keep: Tensor,
    bounds: Tensor,
    backwards: bool,
    entry: Tensor | None = None,
    other: Tensor | None = None,
    store: bool = True,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Scan every run between bounds at once: its last memory, the product of its keeps, its overlap."""
    runs, (chunks, heads, width) = len(bounds) - 1, update.shape
    # narrow blocks where there are few columns: many small programs hide the latency of the scan
    block = min(1024, max(128, triton.next_power_of_2(runs * heads * width // 1024)))
    blocks = triton.cdiv(width, block)
    last, product = update.new_empty(runs, heads, width), update.new_empty(runs, heads)
    overlap = update if other is None else update.new_empty(chunks, heads, blocks)
    _scan_kernel[(runs, blocks, heads)](
        update,
        keep,
        bounds,
        last if entry is None else entry,
        last,
        product,
        update if other is None else other,
        overlap,
        heads,
        width,
        BLOCK=block,
        BACKWARDS=backwards,
        ENTRY=entry is not None,
        STORE=store,
        OVERLAP=other is not None,
        num_warps=min(4, max(1, block // 128)),
    )
    return last, product, None if other is None else overlap.sum(-1)


def scan_memory(
    plan: Plan,
    update: Tensor,
    keep: Tensor,
    entry: Tensor | None,
    *,
    backwards: bool = False,
    other: Tensor | None = None,
) -> Memories:
    """Carry memories (N, H, K * V + K) over the chunks; ``update`` is overwritten with what enters each chunk."""
    segments = plan.segments
    heads, width = update.shape[1:]
    if segments is None or plan.sequences * heads * width >= BUSY:
        last, _, overlap = _scan(update, keep, plan.bounds, backwards, entry, other)
        return Memories(update, last, overlap)
    total, product, _ = _scan(update, keep, segments.chunks, backwards, store=False)
    last, _, _ = _scan(total, product, segments.sequences, backwards, entry)
    # total now holds what enters each segment
    _, _, overlap = _scan(update, keep, segments.chunks, backwards, total, other)
    return Memories(update, last, overlap)
