"""An embed run killed at random moments and started again gives the bytes of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is neither fork nor SIGKILL")

KILLS = 8

# imports torch once and forks a process for every run, so that a kill costs no second import
LAUNCHER = """
import os, sys
import bio_xlstm.models.model
from bio_xlstm.cli import main
sys.argv = sys.argv[1:]
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        os.chdir(line.strip())
        os.dup2(os.open("messages", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os._exit(main.run())
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Launcher:
    """Run the same command in one folder after the other, each time in a process of its own."""

    def __init__(self, root: Path, model: str) -> None:
        options = ["--batch-tokens", "32", "--kind", "protein", "-q", "-m", model]
        # units are small, so that there are many moments to be killed at; one thread, as nothing forks safely with more
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, "bioxlstm", "embed", "in.fa", "-o", "out.parquet", *options],
            env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, folder: Path) -> int:
        """Start a run and return its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        return self._number()

    def wait(self) -> int:
        """Wait for the end of the run and return its exit code, or minus the signal that ended it."""
        return self._number()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the launcher."""
        self._process.communicate("")


@pytest.fixture(scope="module")
def launcher(root: Path, tiny_models: dict[str, str]) -> Iterator[Launcher]:
    """Return a launcher of embed runs."""
    started = Launcher(root, tiny_models["protein"])
    yield started
    started.close()


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


def wait_for_units(folder: Path, count: int) -> None:
    """Wait until so many units are done."""
    deadline = time.monotonic() + 120
    while finished_units(folder) < count:
        assert time.monotonic() < deadline, (folder / "messages").read_text()
        time.sleep(0.001)


def test_killed_again_and_again(tmp_path: Path, launcher: Launcher) -> None:
    chance = random.Random(4)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        write_input(folder)
    launcher.start(undisturbed)
    assert launcher.wait() == 0, (undisturbed / "messages").read_text()
    done = [0]
    for _ in range(KILLS):
        process = launcher.start(killed)
        wait_for_units(killed, done[-1] + chance.randint(0, 3))
        time.sleep(chance.random() * 0.02)
        os.kill(process, signal.SIGKILL)
        assert launcher.wait() == -signal.SIGKILL
        done.append(finished_units(killed))
    assert len(set(done)) > 3, "the kills came too early to mean anything"
    assert not (killed / "out.parquet").exists(), "the kills came too late to mean anything"
    launcher.start(killed)
    assert launcher.wait() == 0, (killed / "messages").read_text()
    names = ["in.fa", "messages", "out.parquet", "out.parquet.issues.csv"]
    assert sorted(path.name for path in killed.iterdir()) == names
    for name in names:
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()


def test_killed_while_the_final_file_is_assembled(tmp_path: Path, launcher: Launcher) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        write_input(folder)
    launcher.start(undisturbed)
    assert launcher.wait() == 0
    for _ in range(3):
        process = launcher.start(killed)
        # the run is not reaped before wait(), so its id stays its own even if it ends before it is killed
        while not (any(killed.glob("out.parquet.parts/final*")) or (killed / "out.parquet").exists()):
            time.sleep(0.0005)
        os.kill(process, signal.SIGKILL)
        launcher.wait()
    launcher.start(killed)
    assert launcher.wait() == 0, (killed / "messages").read_text()
    assert (killed / "out.parquet").read_bytes() == (undisturbed / "out.parquet").read_bytes()
    assert not (killed / "out.parquet.parts").exists()


def test_an_interrupt_prints_how_to_go_on(tmp_path: Path, launcher: Launcher) -> None:
    folder = tmp_path / "run"
    write_input(folder)
    process = launcher.start(folder)
    wait_for_units(folder, 3)
    os.kill(process, signal.SIGINT)
    assert launcher.wait() == 130
    lines = (folder / "messages").read_text().splitlines()
    assert lines[-2] == "Interrupted. To go on where this run stopped:"
    assert lines[-1].startswith("  bioxlstm embed in.fa -o out.parquet --batch-tokens 32 ")
    assert (folder / "out.parquet.parts").is_dir()
