"""What a user asks `generate` for: the options of the command as one immutable value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bio_xlstm.errors import ConfigError
from bio_xlstm.sampling.choice import Sampling
from bio_xlstm.tasks.choices import check_choice, check_seed
from bio_xlstm.tasks.device import BACKEND_NAMES, DTYPES
from bio_xlstm.tasks.generate.words import (
    FORMATS,
    GRID_SETTINGS,
    GRID_SIZES,
    PRESETS,
    SORTS,
    TRIES_EACH,
    TRIES_LEAST,
    WINDOWS,
    Range,
)


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """Hold the options of one generate run; the names are those of the command line.

    Raises ConfigError where an option has a value that it does not take, or options contradict each other.
    """

    output: str
    count: int
    model: str | None = None  # None: the bundled model for what the other options say
    format: str | None = None
    seed: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat: int | None = None
    max_length: int | None = None  # None: by what the model writes
    prompt: str = ""
    scaffold: str | None = None
    context: str | None = None
    context_tokens: int | None = None
    context_size: int | None = None  # None: as many as fit
    contexts: int | None = None  # None: one of homologs, of molecules as many as hold all
    state: str | None = None
    protein: str | None = None
    infill: tuple[str, ...] = ()
    keep_length: bool = False
    constrain: bool = False
    valid_only: bool = False
    unique: bool = False
    exclude: tuple[str, ...] = ()
    filter_smarts: tuple[str, ...] = ()
    windows: Mapping[str, Range] = field(default_factory=dict)
    preset: str | None = None
    beam: int | None = None
    draft: int | None = None
    max_tries: int | None = None
    sort: str = "auto"
    keep: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    batch_tokens: int | None = None  # None: by the device
    resume: bool = True
    overwrite: bool = False
    quiet: bool = False
    command_line: str = ""

    def __post_init__(self) -> None:
        check_choice("--dtype", self.dtype, DTYPES)
        check_choice("--backend", self.backend, BACKEND_NAMES)
        check_choice("--sort", self.sort, SORTS)
        if self.format is not None:
            check_choice("--format", self.format, FORMATS)
        for name in (
            "count",
            "max_length",
            "context_tokens",
            "context_size",
            "contexts",
            "beam",
            "draft",
            "max_tries",
            "keep",
            "batch_tokens",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{_option(name)} must be at least 1, not {value}")
        check_seed(self.seed)
        self._check_openings()
        self._check_ways()
        self._check_swallowed()
        self._check_counts()
        self._check_windows()
        # refuses what cannot be drawn with
        self.sampling(1)

    def _check_openings(self) -> None:
        """Refuse openings that exclude each other."""
        for one, other in (
            ("context", "state"),
            ("prompt", "scaffold"),
            ("prompt", "infill"),
            ("scaffold", "infill"),
        ):
            if getattr(self, one) and getattr(self, other):
                raise ConfigError(f"{_option(one)} and {_option(other)} exclude each other")
        if bool(self.infill) != (self.protein is not None):
            given, missing = ("--infill", "--protein") if self.infill else ("--protein", "--infill")
            raise ConfigError(
                f"{given} needs {missing}: the protein, and which of its residues are made anew"
            )
        if self.keep_length and not self.infill:
            raise ConfigError("--keep-length needs --infill")
        for name in ("context_tokens", "context_size", "contexts"):
            if getattr(self, name) is not None and self.context is None:
                raise ConfigError(f"{_option(name)} needs --context")

    def _check_ways(self) -> None:
        """Refuse ways of drawing that exclude each other."""
        if self.preset is not None:
            check_choice("--preset", self.preset, PRESETS)
            if self.infill and not self.keep_length:
                raise ConfigError(
                    f"--preset {self.preset} draws without refusing anything: with --infill it needs --keep-length, "
                    "as spans of any length may come to no end"
                )
            if self.context is None or self.choosy or self.context_size is not None:
                raise ConfigError(
                    f"--preset {self.preset} needs --context, and draws without refusing anything"
                )
        if self.beam is not None and (
            self.choosy or self.constrain or self.infill or self.preset or self.draft
        ):
            raise ConfigError(
                "--beam finds the likeliest sequences, and goes with no other way of choosing them"
            )
        if self.beam is not None and self.count > self.beam:
            raise ConfigError(f"--beam {self.beam} is too narrow for -n {self.count} sequences")
        if self.draft is not None and not (self.infill or self.scaffold or self.prompt):
            raise ConfigError("--draft copies from what is given: it needs --infill, --scaffold or --prompt")

    def _check_swallowed(self) -> None:
        """Refuse options that a way of drawing would not look at."""
        for way, swallowed, why in (
            ("beam", _CHOOSING, "finds the likeliest sequences and draws none"),
            ("preset", _SETTLED, "settles how residues are drawn"),
        ):
            given = [name for name in swallowed if getattr(self, name) != _default(name)]
            if getattr(self, way) is not None and given:
                value = getattr(self, way)
                raise ConfigError(f"{_option(way)} {value} {why}: it goes without {_option(given[0])}")
        if self.beam is not None and (self.contexts or 1) > 1:
            raise ConfigError(
                f"--beam {self.beam} goes on from one context: it goes without --contexts {self.contexts}"
            )

    def _check_counts(self) -> None:
        """Refuse numbers of sequences that do not fit each other."""
        if self.max_tries is not None and self.max_tries < self.count:
            raise ConfigError(
                f"--max-tries {self.max_tries} is less than -n {self.count}: every sequence takes a try"
            )
        if self.keep is not None and self.keep > self.wanted:
            raise ConfigError(
                f"--keep {self.keep} is more than the {self.wanted} sequences there are to keep from (-n)"
            )

    def _check_windows(self) -> None:
        """Refuse windows that nothing can lie in."""
        for name, window in self.windows.items():
            check_choice("a window", name, WINDOWS)
            if not window.low <= window.high:
                raise ConfigError(
                    f"--{name} {window}: nothing is at least {window.low:g} and at most {window.high:g}"
                )

    @property
    def choosy(self) -> bool:
        """Tell whether what is drawn may be refused, so that more is drawn than asked for."""
        # spans of any length may come to no end
        open_ended = bool(self.infill) and not self.keep_length
        return bool(
            open_ended
            or self.valid_only
            or self.unique
            or self.exclude
            or self.filter_smarts
            or self.windows
            or self.scaffold
        )

    @property
    def wanted(self) -> int:
        """Return how many sequences are accepted at most, before some of them are kept."""
        return self.count if self.preset is None else self.count * len(GRID_SIZES) * len(GRID_SETTINGS)

    @property
    def kept(self) -> int | None:
        """Return how many of these are kept, None for all."""
        return self.keep if self.keep is not None or self.preset is None else self.count

    @property
    def most_tries(self) -> int:
        """Return how many sequences are drawn at most."""
        if not self.choosy:
            return self.wanted
        return self.max_tries or max(TRIES_EACH * self.count, TRIES_LEAST)

    def sampling(self, longest: int) -> Sampling:
        """Return how ids are chosen; `longest` where --max-length says nothing."""
        return Sampling(
            seed=self.seed,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            no_repeat=self.no_repeat,
            longest=self.max_length or longest,
        )

    def settings(self) -> dict[str, str]:
        """Return the options that decide the content of the output, under their names on the command line.

        How many tries there may be is not among them: more of them only go on where fewer ended.
        """
        found = {_option(name): _written(getattr(self, name)) for name in _DECIDING}
        windows = {
            f"--{name}": str(self.windows[name]) if name in self.windows else "None" for name in WINDOWS
        }
        return found | windows


# the fields that decide the content of the output, beside files and windows
_DECIDING = (
    *("count", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat", "prompt"),
    *("scaffold", "context_size", "contexts", "infill", "keep_length", "constrain", "valid_only"),
    # a draft changes no sequence, but the last digit of a log-probability
    *("unique", "filter_smarts", "sort", "keep", "preset", "beam", "draft"),
)

# what a beam has no use for, and what a preset brings along
_CHOOSING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat")
_SETTLED = ("temperature", "top_k", "top_p", "draft", "max_tries")


def _default(name: str) -> object:
    """Return what a field is where the user says nothing."""
    return GenerateRequest.__dataclass_fields__[name].default


def _option(name: str) -> str:
    """Return the name of a field on the command line."""
    return "-n" if name == "count" else f"--{name.replace('_', '-')}"


def _written(value: object) -> str:
    """Write a value as one text."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
