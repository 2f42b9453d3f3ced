"""A shorthand for requests of scores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def score_for(tiny_models: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that writes an input and asks for its scores with a tiny model."""
    from bio_xlstm.tasks.score.request import ScoreRequest

    def make(
        kind: str, name: str, text: str | bytes, output: str = "out.csv", /, **options: Any
    ) -> ScoreRequest:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        target = output if output == "-" else str(tmp_path / output)
        defaults = {"input": str(path), "output": target, "model": tiny_models[kind], "quiet": True}
        return ScoreRequest(**(defaults | options))

    return make
