"""The description of an in-context learner: frozen, flat, validated once."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from bio_xlstm.errors import ConfigError

FAMILY = "in_context"
# what fields may hold, for messages
_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True, kw_only=True)
class InContextConfig:
    """Describe an in-context learner; every field is a key of its config.json.

    Raises ConfigError, naming field and value, where a value makes no model.
    """

    encoder: str = "chem-small"
    """Bundled model whose mean embedding describes a molecule."""
    encoder_hash: str = ""
    """Hash of the encoder's weights that the learner was trained with."""
    embedding: int = 256
    """Width of that embedding."""
    bits: int = 4096
    """Rows of the table of Morgan substructures (radius 2), counted."""
    prints: int = 2048
    """Bits of each of the four fingerprints by which molecules are compared as they are."""
    hidden: int = 512
    """Width inside the encoder."""
    dim: int = 256
    """Width D of a point: what a molecule is to the set reader and to the ridge."""
    reference: int = 512
    """Unlabelled molecules that every point is compared with first."""
    blocks: int = 2
    """Blocks of the set reader."""
    heads: int = 4
    """Memories per block."""
    dropout: float = 0.2
    """Share of the encoder's activations that training leaves out."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kinds: Any = (int, float) if field.type is float else field.type
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise ConfigError(f"{field.name} must be {_WORDS[field.type]}, not {value!r}")
            if field.type is int and value < 1:
                raise ConfigError(f"{field.name} must be at least 1, not {value}")
        if self.dim % self.heads or self.dim % 8:
            raise ConfigError(f"dim {self.dim} cannot be divided into {self.heads} heads, or into 8")
        if self.prints % 64:
            raise ConfigError(f"prints must be a multiple of 64, not {self.prints}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be from 0 to below 1, not {self.dropout}")

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Self:
        """Make a description of plain data; ConfigError names a field that does not exist."""
        unknown = settings.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(f"an in-context learner has no setting {sorted(unknown)[0]!r}")
        return cls(**settings)
