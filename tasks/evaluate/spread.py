"""Work that other processes share, in order and with bounded memory."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# starting processes costs some seconds
WORTHWHILE = 2000
_CHUNK, _BLOCK = 100, 20_000


def choose_workers(asked: int | None, items: int) -> int:
    """Return how many processes share the work; 0 for none but this one."""
    if asked is not None:
        return asked
    return 0 if items < WORTHWHILE else min(8, os.cpu_count() or 1)


def spread(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Apply a function of a module to items, in order."""
    if workers < 1:
        yield from map(function, items)
        return
    waiting = iter(items)
    # not fork: torch may run threads in this process
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin) as pool:
        while block := list(islice(waiting, _BLOCK)):
            yield from pool.map(function, block, chunksize=_CHUNK)


def _begin() -> None:
    # an interrupt is the main process's business
    signal.signal(signal.SIGINT, signal.SIG_IGN)
