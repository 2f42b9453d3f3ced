"""The one description of an architecture: frozen, flat, validated once."""

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from bio_xlstm.errors import ConfigError

DIRECTIONS = ("causal", "alternating", "shared", "separate")
OBJECTIVES = ("causal", "masked")


class _Type(NamedTuple):
    """Say which types a field takes, and how to call them."""

    types: tuple[type, ...]
    words: str


# by the annotation of the field
_TYPES: dict[Any, _Type] = {
    int: _Type((int,), "a positive whole number"),
    int | None: _Type((int, type(None)), "a positive whole number or nothing"),
    float: _Type((int, float), "a number"),
    bool: _Type((bool,), "true or false"),
    str: _Type((str,), "text"),
}


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Describe a Bio-xLSTM; every field is a keyword of `bio_xlstm.build` and a key of config.json.

    Raises ConfigError, naming field and value, where a value makes no model.
    """

    family: str
    """Name of the family in `bio_xlstm.models.build.FAMILIES`."""
    vocabulary: int
    """Number of token ids V."""
    dim: int = 256
    """Model width D."""
    blocks: int = 6
    """Number of residual blocks."""
    heads: int = 4
    """Number of mLSTM heads H."""
    expansion: float = 2.0
    """Inner width I over D, before rounding up to a multiple of 64."""
    inner_dim: int | None = None
    """Inner width I where it does not follow from `expansion`."""
    conv_width: int = 4
    """Width W of the causal depthwise convolution, in tokens."""
    qkv_block: int = 4
    """Size of the diagonal blocks of the query, key and value projections."""
    direction: str = "causal"
    """How blocks read: causal, alternating, or both ways with shared or separate weights."""
    objective: str = "causal"
    """What the model was trained for: the next token (causal) or hidden tokens (masked)."""
    bias: bool = False
    """Whether the linear projections have biases."""
    dropout: float = 0.0
    """Share of each block's output that is dropped in training."""
    norm_eps: float = 1e-5
    """Epsilon of every layer norm."""
    double_residual: bool = False
    """Compatibility: the shared bidirectional block adds whole residual outputs, as the original code does."""

    def __post_init__(self) -> None:
        self._check_types()
        for name in ("vocabulary", "dim", "blocks", "heads", "conv_width", "qkv_block", "inner"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be a positive whole number, not {getattr(self, name)}")
        if not self.norm_eps > 0:
            raise ConfigError(f"norm_eps must be positive, not {self.norm_eps}")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        self._check_reading()
        if self.inner % self.heads:
            raise ConfigError(f"the inner width {self.inner} is not divisible by heads={self.heads}")
        if self.inner % self.qkv_block:
            raise ConfigError(f"the inner width {self.inner} is not divisible by qkv_block={self.qkv_block}")

    def _check_types(self) -> None:
        """Refuse a field of another type than its annotation, as a file may hold anything."""
        for field in fields(self):
            value, wanted = getattr(self, field.name), _TYPES[field.type]
            if not isinstance(value, wanted.types) or (isinstance(value, bool) and bool not in wanted.types):
                raise ConfigError(f"{field.name} must be {wanted.words}, not {value!r}")

    def _check_reading(self) -> None:
        """Refuse directions and objectives that do not exist or contradict each other."""
        if self.direction not in DIRECTIONS:
            raise ConfigError(f"direction must be one of {', '.join(DIRECTIONS)}, not {self.direction!r}")
        if self.objective not in OBJECTIVES:
            raise ConfigError(f"objective must be one of {', '.join(OBJECTIVES)}, not {self.objective!r}")
        if self.objective == "causal" and self.direction != "causal":
            raise ConfigError(
                f"a model that reads {self.direction} sees its targets: "
                "use objective='masked' or direction='causal'"
            )
        if self.double_residual and self.direction != "shared":
            raise ConfigError("double_residual only exists for direction='shared'")

    @property
    def inner(self) -> int:
        """Return the inner width I of a block."""
        if self.inner_dim is not None:
            return self.inner_dim
        return -(-int(self.expansion * self.dim) // 64) * 64

    @property
    def causal(self) -> bool:
        """Tell whether every block reads left to right only."""
        return self.direction == "causal"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` turns back into an equal configuration."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ModelConfig":
        """Build a configuration from plain data; ConfigError names keys that do not exist."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise ConfigError(
                f"unknown model setting {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        try:
            return cls(**data)
        except TypeError as error:
            raise ConfigError(f"model settings are incomplete: {error}") from None
