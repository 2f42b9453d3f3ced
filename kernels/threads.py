"""Run compiled loops that release the interpreter on several threads at once.

Threads wait in locks, which wake them several times sooner than the queue of an executor of the standard library; a
decoding step hands work to them dozens of times.
"""

import os
import threading
from collections.abc import Callable
from functools import cache

import torch

_NAME = "bio_xlstm"


class _Worker(threading.Thread):
    """Wait for a call, make it, say that it has ended."""

    def __init__(self) -> None:
        super().__init__(name=_NAME, daemon=True)
        self.given, self.ended = threading.Lock(), threading.Lock()
        self.given.acquire()
        self.ended.acquire()
        self.call: Callable[[], None] | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Work until the program ends."""
        while True:
            self.given.acquire()
            try:
                assert self.call is not None
                self.call()
            except BaseException as error:
                self.error = error
            # what the call refers to is not kept until the next one
            self.call = None
            self.ended.release()

    def begin(self, call: Callable[[int], None], thread: int) -> None:
        """Start a call."""
        self.call, self.error = (lambda: call(thread)), None
        self.given.release()


_Team = list[_Worker]


@cache
def _idle_teams(process: int, workers: int) -> list[_Team]:
    """Return the teams without work of a process; a forked one makes its own, as threads are not inherited."""
    return []


def count_threads() -> int:
    """Return how many threads may work at once: as many as torch uses."""
    return max(1, torch.get_num_threads())


def run_threads(call: Callable[[int], None], threads: int) -> None:
    """Call with 0, 1, ... threads - 1 at the same time, and return when all have ended.

    What a call raises is raised here, once the others have ended too: they may still write to the caller's buffers.
    May be called by several threads at once, and after a fork: every caller has a team to itself. Called by a thread
    of a team, it runs everything in that thread, one after the other.
    """
    if threads <= 1 or isinstance(threading.current_thread(), _Worker):
        for thread in range(threads):
            call(thread)
        return
    idle = _idle_teams(os.getpid(), threads - 1)
    try:
        team = idle.pop()
    except IndexError:
        team = [_Worker() for _ in range(threads - 1)]
    for thread, worker in enumerate(team, start=1):
        worker.begin(call, thread)
    try:
        call(0)
    finally:
        for worker in team:
            worker.ended.acquire()
        # read before another caller may have the team
        errors = [worker.error for worker in team if worker.error is not None]
        idle.append(team)
    if errors:
        raise errors[0]
