"""What a user asks `variants` for: the options of the command as one immutable value."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import check_choice
from bio_xlstm.tasks.score.request import ScoreRequest
from bio_xlstm.tasks.variants.words import FORMATS, METHODS, PICTURES

# what only the sequences of `score` have
_NOT_OURS = ("--reduce", "--null")


@dataclass(frozen=True, kw_only=True)
class VariantRequest(ScoreRequest):
    """Hold the options of one variants run; the names are those of the command line.

    Strands, stride and context are those of a score: a ratio is a difference of scores. Raises ConfigError where an
    option has a value that it does not take, or options contradict each other.
    """

    command: ClassVar[str] = "variants"
    formats: ClassVar[tuple[str, ...]] = FORMATS
    least: ClassVar[dict[str, int]] = ScoreRequest.least | {"window": 1}

    wildtype: str | None = None
    wildtype_column: str | None = None
    mutant_column: str | None = None
    genome: str | None = None
    window: int | None = None  # None: the default of the documentation, for variants of a genome
    scan: bool = False
    offset: int = 0
    method: str = "auto"
    measured: str | None = None
    measured_bin: str | None = None
    heatmap: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in ("wildtype", "genome", "scan") if getattr(self, name)]
        if len(given) > 1:
            raise ConfigError(
                f"--{given[0]} and --{given[1]} do not go together: they are for different inputs"
            )
        for option, value in (("--window", self.window),):
            if value is not None and self.genome is None:
                raise ConfigError(f"{option} is about variants of a --genome, which is not given")
        if self.heatmap is not None:
            self._check_picture(self.heatmap)

    def _check_choices(self) -> None:
        """Compare every option that takes one of some words with these words."""
        check_choice("--method", self.method, METHODS)
        super()._check_choices()

    def _check_picture(self, path: str) -> None:
        """Refuse a picture of something else than a scan, and a format that it is not drawn in."""
        if not self.scan:
            raise ConfigError("--heatmap draws a full scan: it goes with --scan")
        if self.output == "-":
            raise ConfigError("--heatmap needs an output that is a file; give -o a name")
        if Path(path).suffix.lower() not in PICTURES:
            raise ConfigError(f"--heatmap {path}: the suffix must be {' or '.join(PICTURES)}")
        if Path(path) == Path(self.output):
            raise ConfigError("--heatmap and -o name the same file")

    def settings(self) -> dict[str, str]:
        """Return the options that decide the content of the output, under their names on the command line."""
        own = {
            "--method": self.method,
            "--scan": str(self.scan),
            "--window": str(self.window),
            "--offset": str(self.offset),
            "--wildtype-column": str(self.wildtype_column),
            "--mutant-column": str(self.mutant_column),
        }
        return {name: value for name, value in super().settings().items() if name not in _NOT_OURS} | own
