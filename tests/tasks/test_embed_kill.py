"""An embed run killed at random moments and started again gives the bytes of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

KILLS = 8


def start(folder: Path, root: Path, model: str) -> subprocess.Popen[bytes]:
    """Start the same command in a folder; units are small, so that there are many moments to be killed at."""
    command = [sys.executable, "-m", "bio_xlstm.cli.main", "embed", "in.fa", "-o", "out.parquet", "-m", model]
    command += ["--batch-tokens", "32", "--kind", "protein", "-q"]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)


def write_input(folder: Path) -> None:
    """Write 600 proteins of odd lengths, with bad ones among them."""
    draw = np.random.default_rng(1)
    lines = []
    for i in range(600):
        sequence = "".join(draw.choice(list("ACDEFGHIKLMNPQRSTVWY"), draw.integers(0, 90)))
        lines.append(f">p{i}\n{sequence}{'*A' if i % 50 == 7 else ''}\n")
    folder.mkdir()
    (folder / "in.fa").write_text("".join(lines))


def finished_units(folder: Path) -> int:
    """Count the lines of the journal."""
    try:
        return (folder / "out.parquet.parts" / "journal.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def kill_after(process: subprocess.Popen[bytes], folder: Path, units: int, delay: float) -> None:
    """Kill a run some time after so many further units are done."""
    target = finished_units(folder) + units
    while process.poll() is None and finished_units(folder) < target:
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stderr is not None
    process.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_again_and_again(tmp_path: Path, root: Path, tiny_models: dict[str, str]) -> None:
    chance = random.Random(4)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        write_input(folder)
    whole = start(undisturbed, root, tiny_models["protein"])
    done = []
    for _ in range(KILLS):
        process = start(killed, root, tiny_models["protein"])
        kill_after(process, killed, chance.randint(0, 4), chance.random() * 0.02)
        done.append(finished_units(killed))
    assert len(set(done)) > 2, "the kills came too early to mean anything"
    assert not (killed / "out.parquet").exists()
    for process in (whole, start(killed, root, tiny_models["protein"])):
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
    for name in ("out.parquet", "out.parquet.issues.csv"):
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert sorted(path.name for path in killed.iterdir()) == [
        "in.fa",
        "out.parquet",
        "out.parquet.issues.csv",
    ]


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_an_interrupt_prints_how_to_go_on(tmp_path: Path, root: Path, tiny_models: dict[str, str]) -> None:
    folder = tmp_path / "run"
    write_input(folder)
    process = start(folder, root, tiny_models["protein"])
    while process.poll() is None and finished_units(folder) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors.decode()
    lines = errors.decode().splitlines()
    assert lines[-2] == "Interrupted. To go on where this run stopped:"
    assert lines[-1].startswith("  bioxlstm embed in.fa -o out.parquet -m ")
    assert (folder / "out.parquet.parts").is_dir()
