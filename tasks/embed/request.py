"""What a user asks `embed` for: the options of the command as one immutable value."""

import re
from dataclasses import dataclass

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import ON_ERROR, OUTPUT_FORMATS, POOLS, RC, STORE_DTYPES, check_choice
from bio_xlstm.tasks.device import BACKEND_NAMES, DTYPES

# fewer tokens at once would cut a unit into hundreds of calls
LEAST = {"batch_tokens": 16, "limit": 1, "max_length": 1, "workers": 0}


@dataclass(frozen=True, kw_only=True)
class EmbedRequest:
    """Hold the options of one embed run; the names are those of the command line.

    Raises ConfigError where an option has a value that it does not take, or options contradict each other.
    """

    input: str
    output: str
    model: str | None = None  # None: the bundled model for the kind of sequence found
    kind: str | None = None
    column: str | None = None
    input_format: str | None = None
    format: str | None = None
    pools: tuple[str, ...] = ("mean",)
    layers: str = "-1"
    rc: str = "auto"
    store_dtype: str = "fp32"
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
        # a list, or one word, is as good as a tuple
        object.__setattr__(self, "pools", (self.pools,) if isinstance(self.pools, str) else tuple(self.pools))
        self._check_choices()
        self._check_numbers()
        if "none" in self.pools and len(self.pools) > 1:
            raise ConfigError("--pool none gives one vector per token and stands alone")
        if len(set(self.pools)) < len(self.pools):
            raise ConfigError("--pool names the same pool twice")
        if self.output == "-" and self.on_error == "skip":
            raise ConfigError(
                "--on-error skip needs a file: standard output has no list of the rows that are left out; "
                "give -o a name, or use --on-error record"
            )

    def _check_choices(self) -> None:
        """Compare every option that takes one of some words with these words."""
        if not self.pools:
            raise ConfigError(f"--pool is missing: one or more of {', '.join(POOLS)}")
        for pool in self.pools:
            check_choice("--pool", pool, POOLS)
        check_choice("--rc", self.rc, RC)
        check_choice("--store-dtype", self.store_dtype, STORE_DTYPES)
        check_choice("--dtype", self.dtype, DTYPES)
        check_choice("--backend", self.backend, BACKEND_NAMES)
        check_choice("--on-error", self.on_error, ON_ERROR)
        if self.format is not None:
            check_choice("--format", self.format, OUTPUT_FORMATS)

    def _check_numbers(self) -> None:
        """Compare every number with the least that makes sense."""
        for name, least in LEAST.items():
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
    def per_token(self) -> bool:
        """Tell whether every token keeps its vector."""
        return self.pools == ("none",)

    def settings(self) -> dict[str, str]:
        """Return the options that decide the content of the output, under their names on the command line."""
        return {
            "--kind": str(self.kind),
            "--column": str(self.column),
            "--input-format": str(self.input_format),
            "--pool": ",".join(self.pools),
            "--layers": self.layers,
            "--rc": self.rc,
            "--store-dtype": self.store_dtype,
            "--shard": f"{self.shard[0]}/{self.shard[1]}",
            "--limit": str(self.limit),
            "--max-length": str(self.max_length),
            "--on-error": self.on_error,
            "--allow-invalid": str(self.allow_invalid),
        }


def parse_layers(text: str, layer_count: int) -> tuple[str, ...]:
    """Split `-1,0,3` or `all` into layers as the user wrote them; ConfigError when one is no number or twice there."""
    if text.strip() == "all":
        return tuple(str(layer) for layer in range(layer_count))
    layers = tuple(part.strip() for part in text.split(","))
    for layer in layers:
        if not re.fullmatch("-?[0-9]+", layer):
            raise ConfigError(f"--layers takes numbers separated by commas, or all; {layer!r} is no number")
    if len(set(layers)) < len(layers):
        raise ConfigError(f"--layers {text} names the same layer twice")
    return layers
