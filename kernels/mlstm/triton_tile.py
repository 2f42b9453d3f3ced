"""What the kernels of the mLSTM share: where a tile lies, the decay inside it, products of tiles.

Rows are tokens times heads: row = token * H + head, in 64 bits. A tile is a run of tokens of one chunk, in reading
order.
"""

# the parameters of kernels are pointers, tiles and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

import os
from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")
SLOT = 32  # width of the narrowest block of columns; sums over columns are kept per slot of this width


# what was found fastest is kept on disk by the versions of Triton that can
_KEPT = {"cache_results": True} if "cache_results" in signature(triton.autotune).parameters else {}


def tuned(pairs: list[tuple[int, int, int, int]], key: list[str]) -> Callable[[Any], Any]:
    """Try configurations (BLOCK_K, BLOCK_V, warps, stages) once per key; only a small one in the interpreter."""
    if INTERPRETED.value:
        pairs = [(32, 32, 4, 1)]
    configs = [
        triton.Config({"BLOCK_K": k, "BLOCK_V": v}, num_warps=warps, num_stages=stages)
        for k, v, warps, stages in pairs
    ]
    tuner: Callable[[Any], Any] = triton.autotune(
        configs, key=key, prune_configs_by={"early_config_prune": fitting_configs}, **_KEPT
    )
    return tuner


def fitting_configs(
    configs: list[triton.Config], named: dict[str, object], **meta: object
) -> list[triton.Config]:
    """Drop blocks that are wider than the head, and those whose float32 products do not fit the registers."""
    arguments = {**named, **meta}
    limit = 64 if arguments["DOT"] == tl.float32 and arguments["PRECISION"] == "ieee" else 128
    widths = {
        block: min(limit, max(SLOT, triton.next_power_of_2(arguments[axis])))
        for block, axis in (("BLOCK_K", "K"), ("BLOCK_V", "V"))
    }
    return [c for c in configs if all(c.kwargs[block] <= width for block, width in widths.items())]


def arithmetic(*operands: Tensor) -> dict[str, Any]:
    """Return the operand type and the precision of matrix products; sums are float32 in every case."""
    kinds = {x.dtype for x in operands}
    if torch.float32 in kinds:
        return {"DOT": tl.float32, "PRECISION": "ieee"}
    if kinds == {torch.bfloat16}:
        return {"DOT": tl.bfloat16, "PRECISION": "ieee"}
    # memories and gradients leave the range of float16; tf32 has its digits and the range of float32
    return {"DOT": tl.float32, "PRECISION": "ieee" if torch.version.hip else "tf32"}


@triton.jit
def locate(
    first_ptr, size_ptr, chunk, head, tile, heads, TILE: tl.constexpr, REVERSE: tl.constexpr
):  # fmt: skip
    """Return the rows of a tile of a chunk and which of them exist."""
    position = tile * TILE + tl.arange(0, TILE)
    first = tl.load(first_ptr + chunk)
    token = first - position if REVERSE else first + position
    return token * heads + head, position < tl.load(size_ptr + chunk)


@triton.jit
def locate_last(
    first_ptr, size_ptr, chunk, head, tile, heads, TILE: tl.constexpr, REVERSE: tl.constexpr
):  # fmt: skip
    """Return the row of the last token of a tile and whether it exists."""
    position = tile * TILE + TILE - 1
    first = tl.load(first_ptr + chunk)
    token = first - position if REVERSE else first + position
    return token * heads + head, position < tl.load(size_ptr + chunk)


@triton.jit
def load_block(ptr, row, inside, column, WIDTH: tl.constexpr):
    """Load columns of rows, zeros where there are none."""
    mask = inside[:, None] & (column < WIDTH)[None, :]
    return tl.load(ptr + row[:, None] * WIDTH + column[None, :], mask=mask, other=0.0)


@triton.jit
def multiply(a, b, DOT: tl.constexpr, PRECISION: tl.constexpr):
    """Return the matrix product a @ b in float32."""
    a = a.to(DOT)
    b = b.to(DOT)
    if INTERPRETED:
        # the interpreter holds bfloat16 as integers, which it cannot multiply
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, input_precision=PRECISION)


@triton.jit
def join(log_i, log_f, TILE: tl.constexpr):
    """Return log i of j plus log f of tokens j+1..i at [i, j], -inf above the diagonal.

    Each entry is a sum of exactly the gates it holds: nothing is subtracted, so no digit is lost.
    """
    i = tl.arange(0, TILE)[:, None]
    j = tl.arange(0, TILE)[None, :]
    between = tl.cumsum(tl.where(i > j, log_f[:, None], 0.0), 0)
    return tl.where(i >= j, between + log_i[None, :], -float("inf"))


@triton.jit
def join_transposed(log_i, log_f, TILE: tl.constexpr):
    """Return the transpose of `join`: token j in rows, token i in columns."""
    j = tl.arange(0, TILE)[:, None]
    i = tl.arange(0, TILE)[None, :]
    between = tl.cumsum(tl.where(i > j, log_f[None, :], 0.0), 1)
    return tl.where(i >= j, between + log_i[:, None], -float("inf"))


@triton.jit
def pick(vector, index, TILE: tl.constexpr):
    """Return one element of a vector."""
    return tl.sum(tl.where(tl.arange(0, TILE) == index, vector, 0.0), 0)


@triton.jit
def normaliser(amount, m, eps, NORMALIZE: tl.constexpr):
    """Return what the numerator is multiplied with, and d|n.q| / d(n.q) where |n.q| divides it, else zero."""
    if NORMALIZE:
        floor = tl.exp(-m)
        size = tl.abs(amount)
        scale = 1.0 / (tl.maximum(size, floor) + eps)
        sign = tl.where(size > floor, tl.where(amount < 0, -1.0, 1.0), 0.0)
    else:
        scale = tl.exp(m)
        sign = tl.zeros_like(m)
    return scale, sign
