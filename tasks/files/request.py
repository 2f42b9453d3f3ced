"""What a user asks of any command that reads a file of records and writes one of rows: its shared options."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import ON_ERROR, check_choice, check_seed
from bio_xlstm.tasks.device import BACKEND_NAMES, DTYPES


@dataclass(frozen=True, kw_only=True)
class FileRequest(ABC):
    """Hold the options that such commands share; the names are those of the command line.

    Raises ConfigError where an option has a value that it does not take, or options contradict each other.
    """

    command: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    # whether the bundled model for it is one that reads from left to right
    causal: ClassVar[bool] = False
    # fewer tokens at once would cut a unit into hundreds of calls
    least: ClassVar[dict[str, int]] = {"batch_tokens": 16, "limit": 1, "max_length": 1, "workers": 0}

    input: str
    output: str
    model: str | None = None  # None: the bundled model for the kind of sequence found
    kind: str | None = None
    column: str | None = None
    input_format: str | None = None
    format: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    batch_tokens: int | None = None  # None: from the model and the device
    workers: int | None = None  # None: from the machine
    seed: int = 0
    resume: bool = True
    overwrite: bool = False
    shard: tuple[int, int] = (1, 1)
    limit: int | None = None
    max_length: int | None = None
    on_error: str = "record"
    allow_invalid: bool = False
    quiet: bool = False
    command_line: str = ""

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_numbers()
        if self.output == "-" and self.on_error == "skip":
            raise ConfigError(
                "--on-error skip needs a file: standard output has no list of the rows that are left out; "
                "give -o a name, or use --on-error record"
            )

    def _check_choices(self) -> None:
        """Compare every option that takes one of some words with these words."""
        check_choice("--dtype", self.dtype, DTYPES)
        check_choice("--backend", self.backend, BACKEND_NAMES)
        check_choice("--on-error", self.on_error, ON_ERROR)
        if self.format is not None:
            check_choice("--format", self.format, self.formats)

    def _check_numbers(self) -> None:
        """Compare every number with the least that makes sense."""
        check_seed(self.seed)
        for name, least in self.least.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
        if not isinstance(self.shard, tuple) or [type(n) for n in self.shard] != [int, int]:
            raise ConfigError(f"--shard must be two whole numbers (i, n), not {self.shard!r}")
        if not 1 <= self.shard[0] <= self.shard[1]:
            raise ConfigError(
                f"--shard {self.shard[0]}/{self.shard[1]}: shards are counted 1/N, 2/N, ... N/N"
            )

    @property
    @abstractmethod
    def per_token(self) -> bool:
        """Tell whether every token keeps its numbers."""

    def settings(self) -> dict[str, str]:
        """Return the options that decide the content of the output, under their names on the command line."""
        return {
            "--kind": str(self.kind),
            "--column": str(self.column),
            "--input-format": str(self.input_format),
            "--shard": f"{self.shard[0]}/{self.shard[1]}",
            "--limit": str(self.limit),
            "--max-length": str(self.max_length),
            "--on-error": self.on_error,
            "--allow-invalid": str(self.allow_invalid),
        }
