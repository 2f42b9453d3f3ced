"""A shorthand for requests of scores."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def score_for(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that writes an input and asks for its scores with a tiny model."""
    from bio_xlstm.tasks.score.request import ScoreRequest

    def make(
        kind: str, name: str, text: str | bytes, output: str = "out.csv", /, **options: Any
    ) -> ScoreRequest:
        return ask(ScoreRequest, kind, name, text, output, **options)

    return make
