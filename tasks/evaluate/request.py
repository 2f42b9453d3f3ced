"""What a user asks `evaluate generation` for: the options of the command as one immutable value."""

from dataclasses import dataclass
from pathlib import Path

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import check_seed

# generated and real sequences whose pairs are compared
COMPARED = 10_000


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """Hold the options of one evaluation; the names are those of the command line.

    Raises ConfigError where an option has a value that it does not take.
    """

    generated: str
    output: str
    reference: str | None = None
    train: str | None = None
    hmm: str | None = None
    kind: str | None = None
    input_format: str | None = None
    column: str | None = None
    reference_column: str | None = None
    train_column: str | None = None
    limit: int | None = None
    compare: int = COMPARED
    fcd: bool = True
    device: str = "auto"
    workers: int | None = None
    seed: int = 0
    overwrite: bool = False
    quiet: bool = False
    command_line: str = ""

    def __post_init__(self) -> None:
        """Refuse numbers out of range, and standard input given twice."""
        check_seed(self.seed)
        for name, least in (("compare", 2), ("limit", 1), ("workers", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"--{name} must be {least} or more, not {value}")
        if [self.generated, self.reference, self.train].count("-") > 1:
            raise ConfigError("standard input (-) can be given for one file only")

    @property
    def folder(self) -> Path | None:
        """Return the folder to write; None where the output is one file or standard output."""
        path = Path(self.output)
        one_file = self.output == "-" or (path.suffix.lower() in (".json", ".csv") and not path.is_dir())
        return None if one_file else path
