"""The recipe of a pre-training run: frozen settings read from a TOML file."""

import hashlib
import json
import re
import tomllib
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.data_settings import DataSettings, Domain
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hold everything that decides a pre-training run.

    `model` holds keywords of `bio_xlstm.build`, its family among them.
    """

    name: str
    description: str
    licence: str = ""
    """Licence of the weights, for the model card; empty: the card states none."""
    model: dict[str, Any]
    data: DataSettings
    training: TrainingSettings

    def __post_init__(self) -> None:
        data, training = self.data, self.training
        _require(
            # a name is a line of the card and may become a folder
            bool(re.fullmatch(r"[^\W_][^\x00-\x1f\x7f/\\]*", self.name)),
            f"name must begin with a letter or digit and hold no slashes, such as my-proteins, not {self.name!r}",
        )
        _require("family" in self.model, "[model] needs a family: chem, dna or protein")
        _require(
            training.batch_tokens >= data.longest_window,
            f"[training] batch_tokens ({training.batch_tokens}) must hold one window of "
            f"{data.longest_window} tokens",
        )
        _require(
            training.warmup < training.steps,
            f"[training] warmup ({training.warmup}) must be shorter than steps ({training.steps}), or the learning "
            "rate is never reached",
        )

    def corpus_key(self) -> str:
        """Return a hash of all that decides the prepared corpus."""
        return _digest(self.data.corpus_facts())

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
    _known(table, {"name", "description", "licence", "model", "data", "training"}, "the recipe")
    for key in ("name", "description", "licence"):
        _require(isinstance(table.get(key, ""), str), f"{key} must be text, not {table.get(key)!r}")
    for section in ("model", "data", "training"):
        _require(isinstance(table.get(section), dict), f"section [{section}] is missing")
    data = dict(table["data"])
    domains = data.pop("domains", [])
    _require(isinstance(domains, list), "[data] domains are written as [[data.domains]]")
    for domain in domains:
        _require(isinstance(domain, dict), "[data] domains are written as [[data.domains]]")
    parsed = tuple(_section(Domain, domain, "[[data.domains]]") for domain in domains)
    training = _section(TrainingSettings, table["training"], "[training]")
    if "warmup" not in table["training"]:
        training = replace(training, warmup=min(training.warmup, training.steps // 10))
    return Recipe(
        name=table.get("name", default_name),
        description=table.get("description", ""),
        licence=table.get("licence", ""),
        model=dict(table["model"]),
        data=_section(DataSettings, {**data, "domains": parsed}, "[data]"),
        training=training,
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
    missing = [name for name, field in known.items() if field.default is MISSING and name not in values]
    are = "is" if len(missing) == 1 else "are"
    _require(not missing, f"{title} is incomplete: {' and '.join(missing)} {are} missing")
    return kind(**values)


def _convert(value: Any, wanted: Any, where: str) -> Any:
    """Check one value against the type of its field; whole numbers pass as real ones."""
    if isinstance(value, list):
        value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    kinds: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}
    if wanted in kinds and (
        not isinstance(value, kinds[wanted]) or isinstance(value, bool) is not (wanted is bool)
    ):
        raise ConfigError(f"{where} must be {_PLAIN[wanted]}, not {value!r}")
    if wanted not in kinds and not isinstance(value, tuple):
        raise ConfigError(f"{where} must be a list, not {value!r}")
    return value


_PLAIN = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _known(table: dict[str, Any], known: set[str], title: str) -> None:
    """Refuse keys that do not exist."""
    unknown = sorted(set(table) - known)
    _require(not unknown, f"{title} has no key {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=list).encode()).hexdigest()[:16]
