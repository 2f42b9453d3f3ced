"""What is known about an original checkpoint once its settings and the shapes of its weights have been read."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from bio_xlstm.config import ModelConfig
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.original.names import Origin
from bio_xlstm.original.weights import Weights
from bio_xlstm.tokenizers.tokenizer import Tokenizer


class Choices(NamedTuple):
    """Hold what the user says about a checkpoint where it does not speak for itself."""

    family: str | None = None
    heads: int | None = None
    objective: str | None = None
    tokenizer: Tokenizer | None = None


class Original(NamedTuple):
    """Hold an original model: its weights under canonical names, and how to build ours from them."""

    program: str
    """Which program wrote the checkpoint."""
    repository: str
    """Where that program is found."""
    settings_file: Path
    weights: Weights
    config: ModelConfig
    tokenizer: Tokenizer
    origins: Callable[[Iterable[str]], Mapping[str, Origin]]
    """Find our parameters in the weights."""
    notes: tuple[str, ...] = ()
    """What a user should know about the conversion, one line each."""


def configure(settings_file: Path, **fields: object) -> ModelConfig:
    """Build a configuration; ModelError names the settings file where its values make no model."""
    try:
        return ModelConfig.from_dict(fields)
    except ConfigError as error:
        raise ModelError(f"{settings_file}: {error}") from None


def check_heads(choices: Choices, weights: Weights, heads: int) -> None:
    """Refuse a number of heads that the user states and the weights contradict."""
    if choices.heads is not None and choices.heads != heads:
        raise ConfigError(f"--heads {choices.heads} does not fit {weights.label}, which has {heads} heads")


def check_family(choices: Choices, program: str, family: str) -> None:
    """Refuse a family that the checkpoint does not belong to."""
    if choices.family not in (None, family):
        raise ConfigError(f"--family {choices.family} does not fit a checkpoint of {program}: leave it out")


def chosen_tokenizer(
    choices: Choices, make: Callable[[], Tokenizer], weights: Weights, vocabulary: int, kind: str
) -> Tokenizer:
    """Return the tokenizer the user names, else the checkpoint's own; it must have as many symbols as the model."""
    tokenizer = choices.tokenizer or make()
    if tokenizer.kind != kind:
        raise ConfigError(f"--tokenizer reads {tokenizer.kind}, but {weights.label} is a model of {kind}")
    if len(tokenizer.vocabulary) != vocabulary:
        raise ConfigError(
            f"--tokenizer has {len(tokenizer.vocabulary)} symbols, but {weights.label} has {vocabulary} tokens"
        )
    return tokenizer


def unused(first: int, stop: int) -> tuple[str, ...]:
    """Name the ids of a vocabulary that no symbol was ever given."""
    return tuple(f"[unused-{number}]" for number in range(first, stop))
