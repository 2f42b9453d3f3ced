"""An embed run killed at random moments and started again gives the bytes of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

KILLS = 8


class Runs:
    """Run the same command in one folder after the other, each time in a process of its own."""

    def __init__(self, root: Path, model: str) -> None:
        # units are small, so that there are many moments to be killed at
        options = ["--batch-tokens", "32", "--kind", "protein", "-q", "-m", model]
        program = [sys.executable, "-m", "bio_xlstm.cli.main"]
        self._command = [*program, "embed", "in.fa", "-o", "out.parquet", *options]
        self._environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start a run whose messages go to a file."""
        with (folder / "messages").open("wb") as messages:
            return subprocess.Popen(
                self._command,
                cwd=folder,
                env=self._environment,
                stderr=messages,
                # a shell that runs the tests in the background has them ignore interrupts
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def finish(self, folder: Path) -> None:
        """Do a run to its end."""
        assert self.start(folder).wait() == 0, (folder / "messages").read_text()


@pytest.fixture(scope="module")
def runs(root: Path, tiny_models: dict[str, str]) -> Runs:
    """Return the command to be killed."""
    return Runs(root, tiny_models["protein"])


def write_input(folder: Path) -> None:
    """Write 600 proteins of odd lengths, with bad ones among them."""
    draw = np.random.default_rng(1)
    lines = []
    for i in range(600):
        sequence = "".join(draw.choice(list("ACDEFGHIKLMNPQRSTVWY"), draw.integers(0, 50)))
        lines.append(f">p{i}\n{sequence}{'*A' if i % 50 == 7 else ''}\n")
    folder.mkdir()
    (folder / "in.fa").write_text("".join(lines))


def finished_units(folder: Path) -> int:
    """Count the lines of the journal below its header."""
    try:
        return max(0, (folder / "out.parquet.parts" / "journal.jsonl").read_bytes().count(b"\n") - 1)
    except FileNotFoundError:
        return 0


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until a run has come to a point, or has ended."""
    while not reached() and process.poll() is None:
        time.sleep(0.001)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a run without a warning."""
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"


def test_killed_again_and_again(tmp_path: Path, runs: Runs) -> None:
    chance = random.Random(4)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        write_input(folder)
    runs.finish(undisturbed)
    done = [0]
    for _ in range(KILLS):
        process = runs.start(killed)
        target = done[-1] + chance.randint(0, 3)
        wait_until(lambda target=target: finished_units(killed) >= target, process)  # type: ignore[misc]
        time.sleep(chance.random() * 0.02)
        kill(process)
        done.append(finished_units(killed))
    assert len(set(done)) > 3, "the kills came too early to mean anything"
    # and once while the final file is put together
    process = runs.start(killed)
    wait_until(lambda: any(killed.glob("out.parquet.parts/final*")), process)
    process.kill()
    process.wait()
    runs.finish(killed)
    names = ["in.fa", "messages", "out.parquet", "out.parquet.issues.csv"]
    assert sorted(path.name for path in killed.iterdir()) == names
    for name in names[2:]:
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()


def test_an_interrupt_prints_how_to_go_on(tmp_path: Path, runs: Runs) -> None:
    write_input(tmp_path / "run")
    process = runs.start(tmp_path / "run")
    wait_until(lambda: finished_units(tmp_path / "run") >= 3, process)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    lines = (tmp_path / "run" / "messages").read_text().splitlines()
    assert lines[-2] == "Interrupted. To go on where this run stopped:"
    assert lines[-1].startswith("  bioxlstm embed in.fa -o out.parquet --batch-tokens 32 ")
    assert (tmp_path / "run" / "out.parquet.parts").is_dir()
