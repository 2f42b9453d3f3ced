"""Threads do everything that they are given, fail aloud and never wait for themselves."""

import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from bio_xlstm.kernels.threads import run_threads


def test_every_part_is_run_once_and_at_the_same_time():
    together, seen = threading.Barrier(3, timeout=10), []

    def work(thread: int) -> None:
        # passed only when all three are here
        together.wait()
        seen.append(thread)

    run_threads(work, 3)
    assert sorted(seen) == [0, 1, 2]
    run_threads(seen.append, 1)
    run_threads(seen.append, 0)
    assert len(seen) == 4


@pytest.mark.parametrize("failing", range(3))
def test_what_fails_in_a_thread_is_raised_when_all_have_ended(failing):
    ended = []

    def work(thread: int) -> None:
        if thread == failing:
            raise ArithmeticError(f"part {thread}")
        # buffers must not be given back while another thread writes to them
        time.sleep(0.05)
        ended.append(thread)

    with pytest.raises(ArithmeticError, match=f"part {failing}"):
        run_threads(work, 3)
    assert sorted(ended) == sorted({0, 1, 2} - {failing})
    # and the threads still work
    run_threads(ended.append, 3)


def test_nested_calls_come_to_an_end():
    seen = []

    def outer(thread: int) -> None:
        run_threads(lambda inner: seen.append((thread, inner)), 2)

    # in a thread of its own: waiting for ever would hang the tests
    with ThreadPoolExecutor(1) as executor:
        executor.submit(run_threads, outer, 2).result(timeout=20)
    assert sorted(seen) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_several_callers_have_threads_of_their_own():
    together, seen = threading.Barrier(6, timeout=10), []

    def work(thread: int) -> None:
        # passed only when both callers' parts run at the same time
        together.wait()
        seen.append(thread)

    with ThreadPoolExecutor(2) as executor:
        for call in [executor.submit(run_threads, work, 3) for _ in range(2)]:
            call.result(timeout=20)
    assert sorted(seen) == [0, 0, 1, 1, 2, 2]


def test_a_finished_call_is_forgotten():
    class Buffer:
        """Stand for memory that a call refers to."""

    buffer = Buffer()
    kept = weakref.ref(buffer)
    run_threads(lambda thread, own=buffer: None, 3)
    del buffer
    assert kept() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_its_own_threads():
    run_threads(lambda thread: None, 3)
    child = os.fork()
    if child == 0:
        seen = []
        run_threads(seen.append, 3)
        os._exit(0 if sorted(seen) == [0, 1, 2] else 1)
    for _ in range(200):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child waits for threads that it does not have")
    assert os.waitstatus_to_exitcode(status) == 0
