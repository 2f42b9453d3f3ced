"""What a user asks `embed` for: the options of the command as one immutable value."""

from dataclasses import dataclass
from typing import ClassVar

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import OUTPUT_FORMATS, POOLS, RC, STORE_DTYPES, check_choice
from bio_xlstm.tasks.files.request import FileRequest


@dataclass(frozen=True, kw_only=True)
class EmbedRequest(FileRequest):
    """Hold the options of one embed run; the names are those of the command line.

    Raises ConfigError where an option has a value that it does not take, or options contradict each other.
    """

    command: ClassVar[str] = "embed"
    formats: ClassVar[tuple[str, ...]] = OUTPUT_FORMATS

    pools: tuple[str, ...] = ("mean",)
    layers: str = "-1"
    rc: str = "auto"
    store_dtype: str = "fp32"

    def __post_init__(self) -> None:
        # a list, or one word, is as good as a tuple
        object.__setattr__(self, "pools", (self.pools,) if isinstance(self.pools, str) else tuple(self.pools))
        super().__post_init__()
        if "none" in self.pools and len(self.pools) > 1:
            raise ConfigError("--pool none gives one vector per token and stands alone")
        if len(set(self.pools)) < len(self.pools):
            raise ConfigError("--pool names the same pool twice")

    def _check_choices(self) -> None:
        """Compare every option that takes one of some words with these words."""
        if not self.pools:
            raise ConfigError(f"--pool is missing: one or more of {', '.join(POOLS)}")
        for pool in self.pools:
            check_choice("--pool", pool, POOLS)
        check_choice("--rc", self.rc, RC)
        check_choice("--store-dtype", self.store_dtype, STORE_DTYPES)
        super()._check_choices()

    @property
    def per_token(self) -> bool:
        """Tell whether every token keeps its vector."""
        return self.pools == ("none",)

    def settings(self) -> dict[str, str]:
        """Return the options that decide the content of the output, under their names on the command line."""
        return super().settings() | {
            "--pool": ",".join(self.pools),
            "--layers": self.layers,
            "--rc": self.rc,
            "--store-dtype": self.store_dtype,
        }
