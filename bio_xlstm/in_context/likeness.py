"""How alike molecules are, by their prints: in what they consist of, and in their properties."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.in_context.prints import BYTES, PARTS
from bio_xlstm.kernels.numba_likeness import compare_fingerprints, compare_properties
from bio_xlstm.kernels.threads import count_threads, run_threads

# pairs below which a second thread is not worth waking
_FEW = 4096
_Compare = Callable[[np.ndarray, np.ndarray, np.ndarray], None]


def similarity(queries: Tensor, examples: Tensor) -> Tensor:
    """Compare the fingerprints of prints (B, M, P) with those of others (B, N, P), uint8; one of the B may be 1.

    Returns (B, M, N) float32: the mean of their Tanimoto similarities, bits shared over bits in either (Rogers and
    Tanimoto 1960). What has no bits is equal to its like.
    """
    return _compare_all(compare_fingerprints, _words(queries), _words(examples))


def distance(queries: Tensor, examples: Tensor) -> Tensor:
    """Compare the properties of prints (B, M, P) with those of others (B, N, P), uint8; one of the B may be 1.

    Returns (B, M, N) float32: the mean of the squared differences, each in units of its usual spread.
    """
    return _compare_all(compare_properties, _numbers(queries), _numbers(examples))


def _compare_all(compare: _Compare, asked: np.ndarray, known: np.ndarray) -> Tensor:
    """Compare each of (B, M, ...) with each of (B, N, ...), queries shared out to threads."""
    batch = max(len(asked), len(known))
    found = np.empty((batch, asked.shape[1], known.shape[1]), np.float32)
    threads = count_threads() if found[0].size > _FEW else 1
    step = -(-found.shape[1] // threads)

    def work(thread: int) -> None:
        rows = slice(thread * step, (thread + 1) * step)
        for place in range(batch):
            compare(asked[place % len(asked)][rows], known[place % len(known)], found[place][rows])

    run_threads(work, threads)
    return torch.from_numpy(found)


def _words(prints: Tensor) -> np.ndarray:
    """View fingerprints as words of 64 bits: (B, N, PARTS, W)."""
    plain = prints[..., :-BYTES].contiguous().numpy()
    return plain.view(np.uint64).reshape(*plain.shape[:2], PARTS, plain.shape[2] // (8 * PARTS))


def _numbers(prints: Tensor) -> np.ndarray:
    """Read properties: (B, N, PROPERTIES) float32."""
    return prints[..., -BYTES:].contiguous().numpy().view(np.float16).astype(np.float32)
