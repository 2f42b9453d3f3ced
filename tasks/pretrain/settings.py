"""The recipe of a pre-training run: frozen settings read from a TOML file."""

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from bio_xlstm.errors import ConfigError

T = TypeVar("T")

SCHEDULES = ("cosine", "constant")
SPLITS = ("hash", "scaffold", "families", "tail")


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Describe one part of the data: where it lies, what is held out, how often it is seen."""

    name: str
    files: tuple[str, ...]
    """Paths relative to the data folder."""
    licence: str = ""
    limit: int = 0
    """Keep at most this many records, evenly spread over every file (0: all)."""
    held_out: float = 0.0
    """Share that is never trained on; 1 keeps the whole domain out of training."""
    weight: float = 1.0
    """How often an epoch shows every training window of this domain."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Describe the data of a run."""

    kind: str
    """Tokenizer: dna, protein or smiles."""
    domains: tuple[Domain, ...]
    split: str = "hash"
    """How held-out sequences are chosen; see `bio_xlstm.tasks.pretrain.split`."""
    held_out_limit: int = 0
    """Keep at most this many held-out sequences of every domain (0: all); the others are not trained on."""
    window: int = 1024
    """Longest training sequence, in tokens; longer ones are cut."""
    reverse_complement: float = 0.0
    """Probability that a DNA window is shown as its reverse complement."""
    seed: int = 0
    """Salt of the split."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Describe the optimisation of a run."""

    steps: int
    batch_tokens: int = 8192
    """Upper bound on the tokens of a batch."""
    max_minutes: float = 0.0
    """Stop after this wall-clock time even if steps are left (0: never)."""
    learning_rate: float = 4e-3
    final_learning_rate: float = 1e-4
    warmup: int = 100
    """Steps over which the learning rate rises from zero."""
    schedule: str = "cosine"
    weight_decay: float = 0.1
    clip: float = 1.0
    """Largest norm of the gradient."""
    betas: tuple[float, float] = (0.9, 0.95)
    seed: int = 0
    precision: str = "32-true"
    """Numeric precision in Lightning's words."""
    devices: int = 1
    """How many accelerators or processes."""
    accelerator: str = "auto"
    threads: int = 0
    """CPU threads (0: what torch chooses)."""
    log_every: int = 20
    """Steps between two lines of the log."""
    validate_every: int = 500
    """Steps between two looks at held-out data."""
    validation_tokens: int = 32768
    """Held-out tokens of every domain used while training."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hold everything that decides a pre-training run.

    `model` holds keywords of `bio_xlstm.build`, its family among them.
    """

    name: str
    description: str
    model: dict[str, Any]
    data: DataSettings
    training: TrainingSettings

    def __post_init__(self) -> None:
        data, training = self.data, self.training
        _require("family" in self.model, "[model] needs a family: chem, dna or protein")
        _require(data.split in SPLITS, f"[data] split must be one of {', '.join(SPLITS)}, not {data.split!r}")
        _require(len(data.domains) > 0, "[data] needs at least one [[data.domains]]")
        names = [domain.name for domain in data.domains]
        _require(len(set(names)) == len(names), f"[data] domain names repeat: {', '.join(names)}")
        _require(data.window >= 2, f"[data] window must be at least 2 tokens, not {data.window}")
        _require(
            training.schedule in SCHEDULES,
            f"[training] schedule must be one of {', '.join(SCHEDULES)}, not {training.schedule!r}",
        )
        _require(training.steps >= 1, f"[training] steps must be at least 1, not {training.steps}")
        _require(
            training.batch_tokens >= data.window,
            f"[training] batch_tokens ({training.batch_tokens}) must hold one window of {data.window} tokens",
        )

    def corpus_key(self) -> str:
        """Return a hash of all that decides the prepared corpus."""
        described = asdict(self.data)
        for name in ("window", "reverse_complement"):
            del described[name]
        for domain in described["domains"]:
            del domain["weight"], domain["licence"]
        return _digest(described)

    def identity(self) -> str:
        """Return a hash of all that a resumed run must share with its beginning."""
        training = {"seed": self.training.seed, "batch_tokens": self.training.batch_tokens}
        return _digest([self.model, asdict(self.data), training])


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from TOML; ConfigError names the file and the key that is wrong.

    Example::

        recipe = read_recipe("recipes/chem-small.toml")
        recipe.training.steps
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path} is not valid TOML: {error}") from None
    try:
        return parse_recipe(table, default_name=path.stem)
    except ConfigError as error:
        raise ConfigError(f"recipe {path}: {error}") from None


def parse_recipe(table: dict[str, Any], default_name: str = "model") -> Recipe:
    """Turn plain tables into a recipe; ConfigError names keys that do not exist and values of a wrong type."""
    _known(table, {"name", "description", "model", "data", "training"}, "the recipe")
    for section in ("model", "data", "training"):
        _require(isinstance(table.get(section), dict), f"section [{section}] is missing")
    data = dict(table["data"])
    domains = data.pop("domains", [])
    _require(isinstance(domains, list), "[data] domains are written as [[data.domains]]")
    parsed = tuple(_section(Domain, domain, "[[data.domains]]") for domain in domains)
    return Recipe(
        name=table.get("name", default_name),
        description=table.get("description", ""),
        model=dict(table["model"]),
        data=_section(DataSettings, {**data, "domains": parsed}, "[data]"),
        training=_section(TrainingSettings, table["training"], "[training]"),
    )


def with_overrides(recipe: Recipe, **changes: Any) -> Recipe:
    """Replace training settings of a recipe; None keeps what the recipe says."""
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(recipe, training=replace(recipe.training, **given))


def _section(kind: type[T], table: dict[str, Any], title: str) -> T:
    """Fill one dataclass from a table, with lists as tuples."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    _known(table, set(known), title)
    values = {key: _convert(value, known[key].type, f"{title} {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{title} is incomplete: {str(error).split('__init__() ')[-1]}") from None


def _convert(value: Any, wanted: Any, where: str) -> Any:
    """Check one value against the type of its field; whole numbers pass as real ones."""
    if isinstance(value, list):
        value = tuple(value)
    kinds: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,)}
    if wanted in kinds and (isinstance(value, bool) or not isinstance(value, kinds[wanted])):
        raise ConfigError(f"{where} must be {_PLAIN[wanted]}, not {value!r}")
    if wanted not in kinds and not isinstance(value, tuple):
        raise ConfigError(f"{where} must be a list, not {value!r}")
    return value


_PLAIN = {int: "a whole number", float: "a number", str: "text"}


def _known(table: dict[str, Any], known: set[str], title: str) -> None:
    """Refuse keys that do not exist."""
    unknown = sorted(set(table) - known)
    _require(not unknown, f"{title} has no key {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=list).encode()).hexdigest()[:16]
