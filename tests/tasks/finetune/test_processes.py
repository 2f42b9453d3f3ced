"""Two processes fine-tune as one does: the first alone writes, and the result is whole."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bio_xlstm.tasks.finetune.request import FinetuneRequest


def test_two_processes_leave_one_whole_model(
    ask_finetune: Callable[..., FinetuneRequest], tmp_path: Path
) -> None:
    """Weights, picture and report are written once; the command ends well."""
    request = ask_finetune(rows=40)
    words: list[Any] = ["finetune", request.input, "-o", tmp_path / "two", "-m", request.model]
    words += [
        "--target",
        request.targets[0] if request.targets else "y0",
        "--method",
        "lora",
        "--epochs",
        "1",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "bio_xlstm.cli.main", *map(str, words), "--devices", "2"],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("wrote ") == 1
    for name in ("report.html", "training/curves.png", "model.safetensors", "predictions.csv"):
        assert (tmp_path / "two" / name).stat().st_size > 0, name
    (member,) = json.loads((tmp_path / "two" / "metrics.json").read_text())["members"]
    assert [one["epoch"] for one in member["training"]["curve"]] == [0, 1]
