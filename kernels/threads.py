"""Run compiled loops that release the interpreter on several threads at once."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

import torch

_NAME = "bio_xlstm"


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Return the threads of a process; a forked one makes its own, as threads are not inherited."""
    return ThreadPoolExecutor(threads, thread_name_prefix=_NAME)


def count_threads() -> int:
    """Return how many threads may work at once: as many as torch uses."""
    return max(1, torch.get_num_threads())


def run_threads(call: Callable[[int], None], threads: int) -> None:
    """Call with 0, 1, ... threads - 1 at the same time, and return when all have ended.

    What a call raises is raised here, once the others have ended too: they may still write to the caller's buffers.
    Inside of such a call everything runs one after the other, as threads that wait for their own pool would wait for
    ever. Safe after a fork, which leaves threads behind: the pool belongs to the process.
    """
    if threads <= 1 or threading.current_thread().name.startswith(f"{_NAME}_"):
        for thread in range(threads):
            call(thread)
        return
    others = [_pool(os.getpid(), threads - 1).submit(call, thread) for thread in range(1, threads)]
    try:
        call(0)
    finally:
        wait(others)
    for other in others:
        other.result()
