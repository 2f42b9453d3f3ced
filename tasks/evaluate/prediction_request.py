"""What a user asks `evaluate classification`, `regression` or `proteingym` for."""

from dataclasses import dataclass

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import check_seed

GOALS = ("classification", "regression", "proteingym")


@dataclass(frozen=True, kw_only=True)
class PredictionRequest:
    """Hold the options of one evaluation; the names are those of the command line."""

    predictions: str
    output: str
    goal: str
    truth: tuple[str, ...] = ()
    prediction: tuple[str, ...] = ()
    positive: str | None = None
    labels: str | None = None
    lower: str | None = None
    upper: str | None = None
    where: tuple[str, ...] = ()
    by: str | None = None
    bootstrap: int = 1000
    seed: int = 0
    overwrite: bool = False
    quiet: bool = False
    command_line: str = ""

    def __post_init__(self) -> None:
        """Refuse outputs and numbers that make no sense."""
        check_seed(self.seed)
        if self.output != "-" and not self.output.lower().endswith((".json", ".csv")):
            raise ConfigError(
                f"-o {self.output}: give a name that ends in .json or .csv, or - for JSON on stdout"
            )
        if self.bootstrap < 0:
            raise ConfigError(f"--bootstrap must be 0 or more, not {self.bootstrap}")
        if (self.lower is None) != (self.upper is None):
            raise ConfigError("--lower and --upper are given together")

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Return the columns and the cells that rows must have."""
        found = [condition.partition("=") for condition in self.where]
        for condition, (_, sign, _) in zip(self.where, found, strict=True):
            if not sign:
                raise ConfigError(f"--where takes COLUMN=VALUE, such as part=test, not {condition!r}")
        return [(column, value) for column, _, value in found]
