"""The log survives kills and resumes, and its picture can be drawn at any time."""

import builtins
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.curves import curve, draw_curves, running_mean
from bio_xlstm.tasks.pretrain.log_table import LogTable, read_rows
from bio_xlstm.tasks.pretrain.run import pretrain
from bio_xlstm.tasks.pretrain.run_folder import RunFolder
from bio_xlstm.tasks.pretrain.run_log import RunLog

MakeRecipe = Callable[..., Any]


def filled(path: Path) -> LogTable:
    """Write a log of twelve steps with two looks at held-out data."""
    table = LogTable(path, ["loss", "learning_rate", "perplexity_a", "perplexity_b c"])
    table.begin(0)
    for step in range(1, 13):
        held_out = {"perplexity_a": 20 / step, "perplexity_b c": 8.0} if step % 6 == 0 else {}
        table.add(step, {"loss": 3 / step, "learning_rate": 1e-3, **held_out})
    return table


def test_rows_after_the_step_that_a_run_goes_on_from_are_taken_back(tmp_path: Path) -> None:
    table = filled(tmp_path / "log" / "metrics.csv")
    with open(table.path, "a") as file:
        file.write("13,0.1")  # killed in the middle of a line
    assert [row["step"] for row in read_rows(table.path)] == [str(n) for n in range(1, 13)]
    table.begin(6)
    table.add(7, {"loss": 9.0})
    rows = read_rows(table.path)
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5", "6", "7"]
    assert rows[5]["perplexity_b c"] == "8.0" and rows[6] == {
        "step": "7",
        "loss": "9.0",
        "learning_rate": "",
        "perplexity_a": "",
        "perplexity_b c": "",
    }


def test_curves_hold_what_the_log_holds(tmp_path: Path) -> None:
    rows = read_rows(filled(tmp_path / "metrics.csv").path)
    steps, values = curve(rows, "perplexity_a")
    assert steps.tolist() == [6, 12] and values.tolist() == [20 / 6, 20 / 12]
    assert curve(rows, "nothing")[0].size == 0


def test_the_running_mean_looks_back() -> None:
    values = np.arange(100.0)
    assert running_mean(values)[:5].tolist() == [0, 0.5, 1, 1.5, 2]
    assert running_mean(np.array([])).size == 0
    assert running_mean(np.full(7, 2.0)).tolist() == [2.0] * 7


@pytest.mark.parametrize("rows", [0, 1, 12])
def test_the_picture_is_a_png_however_little_is_known(tmp_path: Path, rows: int) -> None:
    pytest.importorskip("matplotlib")
    table = filled(tmp_path / "metrics.csv")
    table.begin(rows)
    assert draw_curves(table.path, tmp_path / "curves.png", "a model")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_goes_on_without_matplotlib_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = filled(tmp_path / "metrics.csv")
    without(monkeypatch, "matplotlib")
    with caplog.at_level(logging.WARNING):
        assert not draw_curves(table.path, tmp_path / "curves.png", "a model")
    assert "curves.png is not drawn: it needs matplotlib (pip install 'bio-xlstm[plot]')" in caplog.text


def test_a_picture_that_cannot_be_written_is_no_reason_to_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("matplotlib")
    table = filled(tmp_path / "metrics.csv")
    with caplog.at_level(logging.WARNING):
        assert not draw_curves(table.path, tmp_path / "none" / "curves.png", "a model")
    assert "curves.png is not drawn: [Errno" in caplog.text


def test_a_run_draws_its_curves(data: Path, recipe: MakeRecipe) -> None:
    pytest.importorskip("matplotlib")
    pretrain(recipe(steps=4), data, data / "out")
    assert (data / "out" / "training" / "curves.png").stat().st_size > 10_000


def test_tensorboard_that_is_not_installed_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "torch.utils.tensorboard")
    with pytest.raises(
        ConfigError, match=r"tensorboard = true needs .*pip install 'bio-xlstm\[tensorboard\]'"
    ):
        RunLog(RunFolder(tmp_path), "a model", ["a"], tensorboard=True)
    # the others do not write
    RunLog(RunFolder(tmp_path), "a model", ["a"], tensorboard=True, writes=False).begin(0)
    assert not list(tmp_path.iterdir())


def test_tensorboard_gets_the_same_numbers(data: Path, recipe: MakeRecipe) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pretrain(recipe(steps=4, tensorboard=True), data, data / "out")
    folder = data / "out" / "training" / "log"
    board = events.EventAccumulator(str(folder))
    board.Reload()
    rows = read_rows(folder / "metrics.csv")
    for tag, name in (("training/loss", "loss"), ("held_out/perplexity/unseen", "perplexity_unseen")):
        expected = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        found = [(event.step, event.value) for event in board.Scalars(tag)]
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=1e-6)


def without(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Make a library look as if it were not installed."""
    plain = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == library or name.startswith(f"{library}."):
            raise ImportError(f"No module named {library!r}")
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
