"""What a run finds in its folder decides whether it begins, goes on or refuses."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.tasks.pretrain.checkpoint_file import CheckpointFile
from bio_xlstm.tasks.pretrain.run_folder import open_run
from bio_xlstm.tasks.pretrain.settings import with_overrides
from bio_xlstm.tasks.pretrain.stop_request import StopRequest
from bio_xlstm.tasks.pretrain.turns import alone, one_at_a_time

MakeRecipe = Callable[..., Any]


def begun(recipe: Any, output: Path) -> Path:
    """Leave what a run leaves."""
    folder = open_run(recipe, output, resume=True, overwrite=False)
    folder.last.write_text("checkpoint")
    (folder.path / "corpus").mkdir()
    folder.log.mkdir()
    return output


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path, recipe: MakeRecipe) -> None:
    fresh = open_run(recipe(), tmp_path / "out", resume=True, overwrite=False)
    assert fresh.checkpoint is None
    begun(recipe(), tmp_path / "out")
    # neither devices, parts nor the length of the run make it another one
    changed = with_overrides(recipe(), devices=4, accumulate=3, steps=99, precision="bf16-mixed")
    again = open_run(changed, tmp_path / "out", resume=True, overwrite=False)
    assert again.checkpoint == tmp_path / "out" / "training" / "last.ckpt"


def test_finished_and_foreign_runs_are_not_overwritten(tmp_path: Path, recipe: MakeRecipe) -> None:
    output = begun(recipe(), tmp_path / "out")
    with pytest.raises(OutputError, match="left from an earlier run; use --resume"):
        open_run(recipe(), output, resume=False, overwrite=False)
    with pytest.raises(ConfigError, match="was begun with another recipe"):
        open_run(with_overrides(recipe(), seed=1), output, resume=True, overwrite=False)
    (output / "training" / "identity.json").write_text("{")
    with pytest.raises(ConfigError, match="was begun with another recipe"):
        open_run(recipe(), output, resume=True, overwrite=False)
    (output / "model.safetensors").write_text("weights")
    with pytest.raises(OutputError, match="already holds a finished model; use --overwrite"):
        open_run(recipe(), output, resume=True, overwrite=False)


def test_overwriting_removes_the_run_and_keeps_the_prepared_data(tmp_path: Path, recipe: MakeRecipe) -> None:
    output = begun(recipe(), tmp_path / "out")
    (output / "model.safetensors").write_text("weights")
    # the others leave the removal to the first process, and do not look at what it is about to remove
    other = open_run(recipe(), output, resume=True, overwrite=True, first=False)
    assert other.last.exists() and other.checkpoint is None
    folder = open_run(with_overrides(recipe(), seed=1), output, resume=True, overwrite=True)
    assert folder.checkpoint is None and not folder.last.exists() and not folder.log.exists()
    assert not (output / "model.safetensors").exists()
    assert (folder.path / "corpus").is_dir()


def test_a_folder_of_others_is_left_alone(tmp_path: Path, recipe: MakeRecipe) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("precious")
    with pytest.raises(OutputError, match="mine holds files but neither a model nor a run"):
        open_run(recipe(), tmp_path / "mine", resume=True, overwrite=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, recipe: MakeRecipe) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OutputError, match="file is a file; a model is written as a folder"):
        open_run(recipe(), tmp_path / "file", resume=True, overwrite=True)
    with pytest.raises(OutputError, match=r"the folder .*training cannot be made: Not a directory"):
        open_run(recipe(), tmp_path / "file" / "out", resume=True, overwrite=False)


def test_a_second_run_leaves_the_first_alone(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with alone(output):
        with pytest.raises(OutputError, match="another run is writing .*out just now"), alone(output):
            pass
        assert [path.name for path in tmp_path.iterdir()] == ["out.lock"]
    with alone(output):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_place_without_write_access_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with (
        pytest.raises(OutputError, match="out cannot be written: Permission denied"),
        alone(tmp_path / "out"),
    ):
        pass


def test_one_works_while_the_others_wait(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with one_at_a_time(tmp_path / "made"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    CheckpointFile().save_checkpoint({"step": 1}, path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="last.ckpt cannot be written: No space left on device; what was"):
        CheckpointFile().save_checkpoint({"step": 2}, path)
    assert [one.name for one in tmp_path.iterdir()] == ["last.ckpt"]
    assert torch.load(path, weights_only=True) == {"step": 1}


def test_signals_are_noted_and_handed_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) == before


def test_signals_interrupt_at_once_where_nothing_is_lost() -> None:
    with StopRequest(at_once=True) as stop:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        assert stop.asked
        stop.at_once = False
        signal.raise_signal(signal.SIGTERM)


def test_processes_that_are_started_while_signals_are_held_hold_them_too() -> None:
    code = (
        "import signal; from bio_xlstm.tasks.pretrain.stop_request import StopRequest, let_through\n"
        "held = lambda: signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "signal.raise_signal(signal.SIGTERM); print(held())\n"
        "with StopRequest() as stop: print(held(), stop.asked)\n"
    )

    def child() -> str:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        return " ".join(done.stdout.split())

    with StopRequest() as stop:
        stop.hold()
        assert child() == "True False True"
        stop.listen()
        # it is ended by the signal
        assert child() == ""


def test_a_thread_trains_without_listening() -> None:
    found = []

    def work() -> None:
        with StopRequest() as stop:
            found.append(stop.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
