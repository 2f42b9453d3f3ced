"""What a process holds in memory is its own."""

import subprocess
import sys

import numpy as np
import pytest

from bio_xlstm.tasks.process_memory import highest_memory, memory_now


def test_the_highest_is_at_least_what_is_held() -> None:
    held = np.ones(20_000_000)
    now, highest = memory_now(), highest_memory()
    assert highest is not None and now is not None and highest >= now >= held.nbytes


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system counts differently")
def test_a_process_does_not_count_the_memory_of_the_one_that_started_it() -> None:
    held = np.ones(60_000_000)
    command = "from bio_xlstm.tasks.process_memory import highest_memory; print(highest_memory())"
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert int(done.stdout) < held.nbytes
