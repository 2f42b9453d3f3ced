"""Precision of stored numbers: fp32, fp16, or bf16 for formats and libraries that have no such type."""

import numpy as np


def stored(values: np.ndarray, store: str) -> np.ndarray:
    """Round float32 values to the stored precision; bf16 stays float32 whose lower 16 bits are zero."""
    if store == "fp16":
        # what overflows becomes inf, as in every library; clipping would change numbers silently
        with np.errstate(over="ignore"):
            return values.astype(np.float16)
    if store == "bf16":
        return to_bf16_bits(values).astype(np.uint32).__lshift__(16).view(np.float32)
    return values.astype(np.float32, copy=False)


def to_bf16_bits(values: np.ndarray) -> np.ndarray:
    """Return the bfloat16 bit patterns (uint16) of float32 values, rounded to the nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)
