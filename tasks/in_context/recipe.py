"""The recipe of an in-context learner: frozen settings read from a TOML file."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from bio_xlstm.errors import ConfigError
from bio_xlstm.in_context.config import FAMILY, InContextConfig

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class AssayFiles:
    """Say where the assays lie and what their columns are called."""

    train: str
    validation: str
    held_apart: tuple[str, ...] = ()
    """Files of molecules that are evaluated later: training sees none of them, nor those of `validation`, unless they
    are known molecules."""
    known_molecules: bool = False
    """Whether molecules of `validation` stay in training assays that measured them, too, as in the official folds of
    FS-Mol: numbers compare with those published for them then, and say little about molecules never measured."""
    assay_column: str = "assay_id"
    molecule_column: str = "smiles"
    class_column: str = "property"
    number_column: str = "log_regression_property"
    relation_column: str = "relation"
    falling: bool = True
    """Whether numbers fall where what was measured rises (logarithms of potencies do): `>` then bounds from above."""
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class EpisodeSettings:
    """Say how episodes are drawn, and how long training is."""

    steps: int = 8000
    examples: int = 1536
    """Molecules of one step, supports and queries of all its episodes."""
    supports: tuple[int, ...] = (8, 16, 16, 32, 32, 64, 64, 128)
    """Sizes of supports, drawn evenly."""
    queries: int = 32
    """Queries of an episode."""
    numbers: float = 0.25
    """Share of steps that learn measured numbers, not classes."""
    unbalanced: float = 0.3
    """Share of episodes of classes whose share of positives is drawn from 0.1 to 0.9."""
    weighing_steps: int = 400
    """Steps behind the others that learn how much each part of an answer counts, and nothing else."""
    weighing_share: float = 0.15
    """Share of the assays that are kept for those; their molecules are left out of all other assays, known molecules
    aside."""
    weighing_rate: float = 3e-3
    learning_rate: float = 1e-3
    final_learning_rate: float = 2e-5
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    threads: int = 1
    validate_every: int = 500
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        if not self.supports or min(self.supports) < 2:
            raise ConfigError(f"[training] supports must be sizes of at least 2, not {list(self.supports)}")
        if self.examples < max(self.supports) + self.queries:
            raise ConfigError(
                f"[training] examples ({self.examples}) must hold one episode of {max(self.supports)} examples "
                f"and {self.queries} queries"
            )
        for name in ("numbers", "unbalanced", "weighing_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"[training] {name} must be a share from 0 to 1, not {getattr(self, name)}")
        if not 0 < self.warmup < self.steps:
            raise ConfigError(f"[training] warmup ({self.warmup}) must be shorter than steps ({self.steps})")


@dataclass(frozen=True, kw_only=True)
class LearnerRecipe:
    """Hold everything that decides the training of an in-context learner."""

    name: str
    description: str
    licence: str
    model: InContextConfig
    data: AssayFiles
    training: EpisodeSettings


def is_learner_recipe(path: str | Path) -> bool:
    """Tell whether a recipe is one of an in-context learner; what cannot be read is left to the reader of recipes."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    model = table.get("model")
    return isinstance(model, dict) and model.get("family") == FAMILY


def read_learner_recipe(path: str | Path, **changes: Any) -> LearnerRecipe:
    """Read a recipe; `changes` replace settings of [training]. ConfigError names the file and the key that is wrong."""
    path = Path(path)
    try:
        return _parse(tomllib.loads(path.read_text(encoding="utf-8")), path.stem, changes)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path} cannot be read: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"recipe {path}: {error}") from None


def _parse(table: dict[str, Any], stem: str, changes: dict[str, Any]) -> LearnerRecipe:
    unknown = table.keys() - {"name", "description", "licence", "model", "data", "training"}
    if unknown:
        raise ConfigError(f"there is no setting {sorted(unknown)[0]!r}")
    model = {key: value for key, value in table.get("model", {}).items() if key != "family"}
    training = table.get("training", {}) | {
        name: value for name, value in changes.items() if value is not None
    }
    return LearnerRecipe(
        name=str(table.get("name", stem)),
        description=str(table.get("description", "")).strip(),
        licence=str(table.get("licence", "")),
        model=InContextConfig.from_dict(model),
        data=_section(AssayFiles, table.get("data", {}), "[data]"),
        training=_section(EpisodeSettings, training, "[training]"),
    )


def _section(kind: type[T], table: dict[str, Any], title: str) -> T:
    """Fill one dataclass; ConfigError names a key that does not exist, is missing, or has another type."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{title} has no setting {key!r}")
        if not _fits(value, known[key].type):
            raise ConfigError(f"{title} {key} cannot be {value!r}")
    try:
        return kind(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        )
    except TypeError as error:
        raise ConfigError(f"{title}: {error}") from None


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a value of a TOML file can fill a field of some type."""
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_fits(one, get_args(kind)[0]) for one in value)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
