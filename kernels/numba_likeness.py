"""How alike molecules are: Tanimoto similarity of packed fingerprints, word by word, and distance of properties."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def _ones(_: Any, word: Any) -> Any:
    """Count the bits of a word."""
    return types.uint64(types.uint64), _write_ones


def _write_ones(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    number = ir.IntType(64)
    function = builder.module.declare_intrinsic("llvm.ctpop", [number], ir.FunctionType(number, [number]))
    return builder.call(function, values)


@njit(cache=True, nogil=True, error_model="numpy")
def compare_fingerprints(queries: np.ndarray, examples: np.ndarray, found: np.ndarray) -> None:
    """Fill `found` (M, N) float32 with the similarity of queries (M, parts, W) to examples (N, parts, W) uint64.

    It is the mean over the parts; two parts without any bits are equal.
    """
    parts, width = queries.shape[1], queries.shape[2]
    share = np.float32(1 / parts)
    for row in range(len(queries)):
        for column in range(len(examples)):
            total = np.float32(0)
            for part in range(parts):
                both, either = np.uint64(0), np.uint64(0)
                for word in range(width):
                    one, other = queries[row, part, word], examples[column, part, word]
                    both += _ones(one & other)  # type: ignore[call-arg]
                    either += _ones(one | other)
                total += np.float32(both) / np.float32(either) if either else np.float32(1)
            found[row, column] = total * share


@njit(cache=True, nogil=True, error_model="numpy")
def compare_properties(queries: np.ndarray, examples: np.ndarray, found: np.ndarray) -> None:
    """Fill `found` (M, N) float32 with the mean squared difference of queries (M, F) and examples (N, F) float32."""
    share = np.float32(1 / queries.shape[1])
    # one property of all examples after the other: that is what processors do side by side
    turned = np.ascontiguousarray(examples.T)
    for row in range(len(queries)):
        own = found[row]
        own[:] = 0
        for place in range(len(turned)):
            one, others = queries[row, place], turned[place]
            for column in range(len(others)):
                apart = one - others[column]
                own[column] += apart * apart
        for column in range(len(own)):
            own[column] *= share
