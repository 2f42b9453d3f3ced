"""What a user asks `score` for: the options of the command as one immutable value."""

from dataclasses import dataclass
from typing import ClassVar

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import (
    DIRECTIONS,
    NULLS,
    SCORE_FORMATS,
    SCORE_RC,
    SCORE_REDUCTIONS,
    check_choice,
)
from bio_xlstm.tasks.files.request import FileRequest


@dataclass(frozen=True, kw_only=True)
class ScoreRequest(FileRequest):
    """Hold the options of one score run; the names are those of the command line.

    Raises ConfigError where an option has a value that it does not take, or options contradict each other.
    """

    command: ClassVar[str] = "score"
    formats: ClassVar[tuple[str, ...]] = SCORE_FORMATS
    causal: ClassVar[bool] = True
    least: ClassVar[dict[str, int]] = FileRequest.least | {"stride": 1, "context_tokens": 1}

    reduce: str = "sequence"
    direction: str = "forward"
    rc: str = "auto"
    stride: int | None = None  # None: as many letters at a time as masked models are trained with
    context: str | None = None
    context_tokens: int | None = None  # None: as long as sets are in training
    state: str | None = None
    null: str | None = None
    background: str | None = None  # None: the null model counts the input

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context is not None and self.state is not None:
            raise ConfigError("--context and --state both say what is read before every sequence; give one")
        if self.context_tokens is not None and self.context is None:
            raise ConfigError("--context-tokens is about a --context, which is not given")
        if self.background is not None and self.null not in ("unigram", "markov"):
            raise ConfigError("--background is what --null unigram or markov counts, which is not asked for")
        if self.null is not None and self.per_token:
            raise ConfigError("--null compares whole sequences: it does not go with --reduce per-position")

    def _check_choices(self) -> None:
        """Compare every option that takes one of some words with these words."""
        check_choice("--reduce", self.reduce, SCORE_REDUCTIONS)
        check_choice("--direction", self.direction, DIRECTIONS)
        check_choice("--rc", self.rc, SCORE_RC)
        if self.null is not None:
            check_choice("--null", self.null, NULLS)
        super()._check_choices()

    @property
    def per_token(self) -> bool:
        """Tell whether every token keeps its number."""
        return self.reduce == "per-position"

    def settings(self) -> dict[str, str]:
        """Return the options that decide the content of the output, under their names on the command line."""
        return super().settings() | {
            "--reduce": self.reduce,
            "--direction": self.direction,
            "--rc": self.rc,
            "--stride": str(self.stride),
            "--null": str(self.null),
        }
