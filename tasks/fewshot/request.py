"""What a user asks `evaluate fewshot` for: the options of the command as one immutable value."""

from dataclasses import dataclass

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import MOST_SEED, check_choice, check_seed

TASKS = ("classification", "regression")
SIZES = (16, 32, 64, 128, 256)
LEARNER = "chem-icl"
FEWEST_EXAMPLES = 4


@dataclass(frozen=True, kw_only=True)
class FewshotRequest:
    """Hold the options of one few-shot evaluation; the names are those of the command line.

    Raises ConfigError where an option has a value that it does not take.
    """

    input: str
    output: str
    model: str = LEARNER
    task: str = "classification"
    assay_column: str | None = None
    column: str | None = None
    target: str | None = None
    relation_column: str | None = None
    split_column: str | None = None
    mark_column: str | None = None
    support: tuple[int, ...] = SIZES
    seeds: int = 10
    methods: tuple[str, ...] = ()
    """names; all that suit the task where none is given"""
    groups: str | None = None
    group_column: str | None = None
    coverage: float = 0.9
    bootstrap: int = 1000
    device: str = "auto"
    seed: int = 0
    resume: bool = True
    overwrite: bool = False
    quiet: bool = False
    command_line: str = ""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_seed(self.seed)
        check_choice("--task", self.task, TASKS)
        if self.output != "-" and not self.output.lower().endswith((".json", ".csv")):
            raise ConfigError(
                f"-o {self.output}: give a name that ends in .json or .csv, or - for JSON on stdout"
            )
        if not self.support:
            raise ConfigError("--support takes one or more sizes, such as 16,64")
        for size in self.support:
            if size < FEWEST_EXAMPLES:
                raise ConfigError(f"--support must be {FEWEST_EXAMPLES} or more, not {size}")
        if self.seeds < 1 or self.seed + self.seeds - 1 > MOST_SEED:
            raise ConfigError(f"--seeds must be 1 or more, not {self.seeds}")
        if self.bootstrap < 0:
            raise ConfigError(f"--bootstrap must be 0 or more, not {self.bootstrap}")
        if not 0.5 <= self.coverage < 1:
            raise ConfigError(f"--coverage must be from 0.5 to below 1, not {self.coverage}")
        if self.group_column is not None and self.groups is None:
            raise ConfigError("--group-column names a column of the table that --groups gives")
        self._check_methods()

    @property
    def numeric(self) -> bool:
        """Tell whether numbers are predicted."""
        return self.task == "regression"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the support sizes in order, each once."""
        return tuple(sorted(set(self.support)))

    @property
    def draws(self) -> range:
        """Return the seeds of the draws."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the methods in the order of the tables."""
        from bio_xlstm.tasks.fewshot.methods.choose import METHODS

        suitable = [name for name, one in METHODS.items() if one.numeric or not self.numeric]
        return tuple(name for name in suitable if not self.methods or name in self.methods)

    def _check_methods(self) -> None:
        from bio_xlstm.tasks.fewshot.methods.choose import METHODS

        for name in self.methods:
            check_choice("--methods", name, tuple(METHODS))
            if self.numeric and not METHODS[name].numeric:
                raise ConfigError(f"--methods {name} predicts classes alone, not numbers")
