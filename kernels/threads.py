"""Run compiled loops that release the interpreter on several threads at once."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Return the threads of a process; a forked one makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="bio_xlstm")


def count_threads() -> int:
    """Return how many threads may work at once: as many as torch uses."""
    return max(1, torch.get_num_threads())


def run_threads(call: Callable[[int], None], threads: int) -> None:
    """Call with 0, 1, ... threads - 1 at the same time, and return when all are done."""
    if threads > 1:
        others = [_pool(os.getpid(), threads - 1).submit(call, thread) for thread in range(1, threads)]
        call(0)
        for other in others:
            other.result()
    elif threads == 1:
        call(0)
