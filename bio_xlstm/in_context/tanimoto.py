"""Tanimoto similarity of packed fingerprints: bits shared over bits in either (Rogers and Tanimoto 1960)."""

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.in_context.prints import PARTS
from bio_xlstm.kernels.numba_tanimoto import compare_prints
from bio_xlstm.kernels.threads import count_threads, run_threads

# pairs below which a second thread is not worth waking
_FEW = 4096


def similarity(queries: Tensor, examples: Tensor) -> Tensor:
    """Compare packed prints (B, M, P) with (B, N, P), uint8, of PARTS fingerprints each; one of the B may be 1.

    Returns (B, M, N) float32: the mean of the fingerprints' similarities. What has no bits is equal to its like.
    """
    batch = max(len(queries), len(examples))
    asked, known = _words(queries), _words(examples)
    found = np.empty((batch, asked.shape[1], known.shape[1]), np.float32)

    def compare(place: int, rows: slice) -> None:
        compare_prints(asked[place % len(asked)][rows], known[place % len(known)], found[place][rows])

    threads = count_threads() if found[0].size > _FEW else 1
    step = -(-found.shape[1] // threads)

    def work(thread: int) -> None:
        for place in range(batch):
            compare(place, slice(thread * step, (thread + 1) * step))

    run_threads(work, threads)
    return torch.from_numpy(found)


def _words(packed: Tensor) -> np.ndarray:
    """View packed bits as words of 64: (B, N, PARTS, W)."""
    plain = packed.contiguous().numpy()
    return plain.view(np.uint64).reshape(*plain.shape[:2], PARTS, plain.shape[2] // (8 * PARTS))
