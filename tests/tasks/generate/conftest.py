"""A shorthand for generate runs."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rows = list[dict[str, str]]


@pytest.fixture
def generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that generates into out.csv, in a folder of its own, and returns the outcome."""
    from bio_xlstm.tasks.generate.request import GenerateRequest
    from bio_xlstm.tasks.generate.run import generate_file

    monkeypatch.chdir(tmp_path)

    def run(**options: Any) -> Any:
        defaults = {
            "output": "out.csv",
            "count": 12,
            "model": "chem-small",
            "quiet": True,
            "overwrite": True,
            "batch_tokens": 16,
        }
        said: list[str] = []
        outcome = generate_file(GenerateRequest(**(defaults | options)), said.append)
        return outcome._replace(lines=(*said, *outcome.lines))

    return run


def rows_of(path: str = "out.csv") -> Rows:
    """Read a table."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
