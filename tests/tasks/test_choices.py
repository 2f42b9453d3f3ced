"""What every request asks of its options is asked alike."""

from collections.abc import Callable
from typing import Any

import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.embed.request import EmbedRequest
from bio_xlstm.tasks.evaluate.prediction_request import PredictionRequest
from bio_xlstm.tasks.evaluate.request import GenerationRequest
from bio_xlstm.tasks.finetune.request import FinetuneRequest
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.states import StateRequest

REQUESTS: list[Callable[..., Any]] = [
    lambda **options: EmbedRequest(input="a.smi", output="a.csv", **options),
    lambda **options: FinetuneRequest(input="a.csv", output="model", **options),
    lambda **options: GenerateRequest(output="a.csv", count=1, **options),
    lambda **options: StateRequest(input="a.smi", output="a.state", **options),
    lambda **options: GenerationRequest(generated="a.smi", output="out", **options),
    lambda **options: PredictionRequest(predictions="a.csv", output="a.json", goal="regression", **options),
]


@pytest.mark.parametrize("request_of", REQUESTS)
@pytest.mark.parametrize("seed", [-1, 1 << 63, 10**23])
def test_seeds_have_a_range(request_of: Callable[..., Any], seed: int) -> None:
    request_of(seed=(1 << 63) - 1)
    with pytest.raises(
        ConfigError, match=f"--seed must be a number from 0 to 9223372036854775807, not {seed}"
    ):
        request_of(seed=seed)
