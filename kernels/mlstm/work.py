"""Share sequences out to threads."""

import heapq
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Share(NamedTuple):
    """Say which tasks each thread does; task = sequence * H + head."""

    bounds: np.ndarray  # (N + 1,) int64
    chunks: np.ndarray  # (N + 1,) int64 number of chunks before each sequence
    tasks: np.ndarray  # (N H,) int64 in the order of the bins
    bins: np.ndarray  # (threads + 1,) int64


@lru_cache(maxsize=32)
def share_out(bounds: tuple[int, ...], heads: int, size: int, threads: int) -> Share:
    """Give every thread about as many tokens: long sequences first, each to the thread that has least so far."""
    lengths = [stop - start for start, stop in pairwise(bounds)]
    loads = [(0, thread) for thread in range(min(threads, len(lengths) * heads))]
    given: list[list[int]] = [[] for _ in loads]
    for sequence in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        for head in range(heads):
            load, thread = heapq.heappop(loads)
            given[thread].append(sequence * heads + head)
            heapq.heappush(loads, (load + lengths[sequence], thread))
    return Share(
        np.array(bounds, np.int64),
        np.array([0, *accumulate(-(-length // size) for length in lengths)], np.int64),
        np.array([task for tasks in given for task in tasks], np.int64),
        np.array([0, *accumulate(len(tasks) for tasks in given)], np.int64),
    )


def to_array(x: Tensor) -> np.ndarray:
    """Return the numbers of a CPU tensor as float32, adjacent in memory, without a copy where they are so already."""
    return x.detach().to(torch.float32).contiguous().numpy()
