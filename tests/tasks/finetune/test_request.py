"""Every wrong option is refused in the user's words."""

from typing import Any

import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.finetune.request import FinetuneRequest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "tea"}, "--method must be one of head, lora, state, full, not 'tea'"),
        ({"head": "round"}, "--head must be one of auto, linear, radial"),
        ({"class_weights": "some"}, "--class-weights must be one of none, balanced"),
        ({"calibration": "prayer"}, "--calibration must be one of temperature, isotonic, none"),
        ({"precision": "8"}, "--precision must be one of"),
        ({"pools": ("none",)}, "--pool must be one of mean, last, first, max, not 'none'"),
        ({"ensemble": 0}, "--ensemble must be at least 1, not 0"),
        ({"folds": -1}, "--folds must be at least 0, not -1"),
        ({"coverage": 1.0}, "--coverage must be at least 0.5 and below 1, not 1"),
        ({"learning_rate": 0.1}, "--learning-rate is for --method lora, state or full"),
        ({"epochs": 3}, "--epochs is for --method lora, state or full: a head is solved for"),
        ({"patience": 1}, "--patience is for --method lora, state or full"),
        ({"batch_size": 8}, "--batch-size is for --method lora, state or full"),
        ({"precision": "bf16-mixed"}, "--precision is for --method lora, state or full"),
        ({"rank": 16}, "--rank is for --method lora"),
        ({"method": "full", "rank": 16}, "--rank is for --method lora"),
        ({"method": "lora", "learning_rate": -1.0}, "--learning-rate must be positive, not -1"),
        ({"method": "lora", "head": "radial"}, "--head radial is for --method head"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        FinetuneRequest(input="a.csv", output="b", **options)
