"""What a user asks `finetune` for: the options of the command as one immutable value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import POOLS, check_choice, check_seed
from bio_xlstm.tasks.finetune.words import CALIBRATIONS, HEADS, METHODS, WEIGHTINGS
from bio_xlstm.tasks.pretrain.training_settings import PRECISIONS

_LEAST = {
    **dict.fromkeys(("ensemble", "rank", "epochs", "patience", "batch_size", "batch_tokens", "limit"), 1),
    **dict.fromkeys(("devices", "nodes"), 1),
    **dict.fromkeys(("folds", "max_minutes"), 0),
}

# what tells how to descend
_OF_TUNING = ("learning_rate", "epochs", "patience", "batch_size", "precision")


@dataclass(frozen=True, kw_only=True)
class FinetuneRequest:
    """Hold the options of one run; the names are those of the command line.

    Raises ConfigError where an option has a value that it does not take, or options contradict each other.
    """

    input: str
    output: str
    model: str | None = None  # None: the bundled model for the kind of sequence found
    column: str | None = None
    targets: tuple[str, ...] = ()
    kind: str | None = None
    task: str | None = None
    limit: int | None = None
    method: str = "head"
    split: str = "random"
    split_column: str | None = None
    similarity: float | None = None
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    folds: int = 0
    seed: int = 0
    ensemble: int = 1
    layers: str = "auto"
    pools: tuple[str, ...] = ("mean",)
    head: str = "auto"
    class_weights: str = "none"
    rank: int = 8
    learning_rate: float | None = None  # None: what suits the method
    epochs: int = 50
    patience: int = 5
    batch_size: int = 32
    coverage: float = 0.9
    calibration: str = "temperature"
    baselines: bool = True
    bootstrap: int = 1000
    max_minutes: float = 0.0
    device: str = "auto"
    backend: str = "auto"
    precision: str = "32-true"
    devices: int = 1
    nodes: int = 1
    batch_tokens: int | None = None
    resume: bool = True
    overwrite: bool = False
    quiet: bool = False
    command_line: str = ""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_choice("--method", self.method, METHODS)
        check_choice("--head", self.head, HEADS)
        check_choice("--class-weights", self.class_weights, WEIGHTINGS)
        check_choice("--calibration", self.calibration, CALIBRATIONS)
        check_choice("--precision", self.precision, PRECISIONS)
        for pool in self.pools:
            check_choice("--pool", pool, [name for name in POOLS if name != "none"])
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least {least}, not {value:g}")
        if not 0.5 <= self.coverage < 1:
            raise ConfigError(f"--coverage must be at least 0.5 and below 1, not {self.coverage:g}")
        if self.learning_rate is not None and self.learning_rate <= 0:
            raise ConfigError(f"--learning-rate must be positive, not {self.learning_rate:g}")
        for name in _OF_TUNING if self.method == "head" else ():
            if getattr(self, name) != getattr(type(self), name):
                raise ConfigError(
                    f"--{name.replace('_', '-')} is for --method lora, state or full: a head is solved for"
                )
        if self.method != "lora" and self.rank != type(self).rank:
            raise ConfigError("--rank is for --method lora")
        if self.method != "head" and self.head == "radial":
            raise ConfigError(
                f"--head radial is for --method head; --method {self.method} tunes a linear head"
            )

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the content of the output; time, devices and messages do not."""
        left_out = {
            "output",
            "resume",
            "overwrite",
            "quiet",
            "command_line",
            "max_minutes",
            "devices",
            "nodes",
        }
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.__dict__.items()
            if name not in left_out
        }
