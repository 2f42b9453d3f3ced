"""The one description of an architecture: frozen, flat, validated once."""

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from bio_xlstm.errors import ConfigError

BLOCKS = ("pre_up", "post_up")
DIRECTIONS = ("causal", "alternating", "shared", "separate", "two_sided")
OBJECTIVES = ("causal", "infill", "masked")
ROTARIES = ("none", "head", "inner", "inner_2d", "inner_absolute")
POSITION_EMBEDDINGS = ("none", "learned", "learned_2d", "sinusoidal")
REVERSE_COMPLEMENTS = ("none", "post_hoc", "equivariant")
# fields that name one of a few words
_CHOICES = {
    "block": BLOCKS,
    "direction": DIRECTIONS,
    "objective": OBJECTIVES,
    "rotary": ROTARIES,
    "position_embedding": POSITION_EMBEDDINGS,
    "reverse_complement": REVERSE_COMPLEMENTS,
}
# the feed-forward layer's width over D: of an sLSTM block (xLSTM), of a post-up block (xLSTM-7B)
_FFN_EXPANSION = {"pre_up": 1.3, "post_up": 2.6667}
# soft caps of gates and logits (xLSTM-7B)
_GATE_CAP, _LOGIT_CAP = 15.0, 30.0


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
    float | None: _Type((int, float, type(None)), "a number or nothing"),
    str: _Type((str,), "text"),
    tuple[int, ...]: _Type((tuple,), "a list of whole numbers"),
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
    block: str = "pre_up"
    """Form of the mLSTM blocks: cell between two projections (pre_up, the Bio-xLSTM models), or cell and then a
    SwiGLU feed-forward layer (post_up, xLSTM-7B)."""
    expansion: float = 2.0
    """Inner width I of a pre_up block over D, before rounding up to a multiple of 64."""
    inner_dim: int | None = None
    """Inner width I where it does not follow from `expansion`."""
    conv_width: int = 4
    """Width W of the depthwise convolution, in tokens."""
    qkv_block: int = 4
    """Size of the diagonal blocks of the query, key and value projections of a pre_up block."""
    key_expansion: float = 0.5
    """Width of all heads' keys of a post_up block over D."""
    value_expansion: float = 1.0
    """Width of all heads' values of a post_up block over D."""
    slstm_at: tuple[int, ...] = ()
    """Which blocks, counted from 0, are sLSTM blocks."""
    slstm_heads: int | None = None
    """Number of sLSTM heads, `heads` where not given."""
    slstm_conv_width: int | None = None
    """Width of the convolution of sLSTM blocks, `conv_width` where not given; 0 leaves it out."""
    ffn_expansion: float | None = None
    """Width of the feed-forward layers over D, before rounding up to a multiple of 64; 1.3 for sLSTM blocks and
    2.6667 for post_up blocks where not given."""
    ffn_dim: int | None = None
    """Width of the feed-forward layers where it does not follow from `ffn_expansion`."""
    direction: str = "causal"
    """How blocks read: causal, alternating, or both ways with shared or separate weights. Compatibility: two_sided is
    one mLSTM with a common normaliser for both sides (sLSTM blocks are shared)."""
    objective: str = "causal"
    """What the model was trained for: the next token (causal), the same and hidden spans moved to the end (infill),
    or hidden tokens (masked)."""
    reverse_complement: str = "none"
    """What ties the strands of DNA: nothing, averages over both after the fact (post_hoc), or shared weights that make
    the model exactly equivariant."""
    rotary: str = "none"
    """Rotation of queries and keys by position: of every head (head), of the whole inner width before the gates
    (inner), there by place and by number of the sequence (inner_2d), or by the place in the whole context
    (inner_absolute)."""
    rotary_base: float = 500_000.0
    """Base of the frequencies of the rotation."""
    position_embedding: str = "none"
    """What is added to, or for the learned ones joined with, the embedding of a token."""
    max_positions: int = 2048
    """Number of learned positions; later ones share the last."""
    max_sequences: int = 512
    """Number of learned numbers of sequences; later ones share the last."""
    bias: bool = False
    """Whether the linear projections of mLSTM layers have biases; in post_up stacks those of norms and feed-forward
    layers too."""
    dropout: float = 0.0
    """Share of each layer's output that is dropped in training."""
    embedding_dropout: bool = False
    """Whether the embedding is dropped too."""
    tie_weights: bool = False
    """Whether the head uses the embedding's weights."""
    final_norm: bool = True
    """Whether the last hidden states are normalised."""
    norm_eps: float = 1e-5
    """Epsilon of every norm."""
    gate_cap: float | None = None
    """Soft cap of the gates of post_up blocks, 15 where not given; 0 is none."""
    logit_cap: float | None = None
    """Soft cap of the logits, 30 in stacks of post_up blocks and none otherwise where not given; 0 is none."""
    conv_causal: bool = True
    """Compatibility: where false, the convolution of mLSTM blocks also sees later tokens."""
    slstm_conv_causal: bool = True
    """Compatibility: where false, the convolution of sLSTM blocks also sees later tokens."""
    double_residual: bool = False
    """Compatibility: the shared bidirectional block adds whole residual outputs, as the original code does."""
    flip_strand_heads: bool = False
    """Compatibility: sLSTM layers normalise the heads of the second strand in reverse order, which breaks the
    equivariance of models with more than one head, as the original code does."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "slstm_at", _as_tuple(self.slstm_at))
        self._check_types()
        self._check_numbers()
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        self._check_blocks()
        self._check_reading()
        self._check_positions()

    def _check_types(self) -> None:
        """Refuse a field of another type than its annotation, as a file may hold anything."""
        for field in fields(self):
            value, wanted = getattr(self, field.name), _TYPES[field.type]
            if not isinstance(value, wanted.types) or (isinstance(value, bool) and bool not in wanted.types):
                raise ConfigError(f"{field.name} must be {wanted.words}, not {value!r}")

    def _check_numbers(self) -> None:
        """Refuse numbers out of their range."""
        positive = ("vocabulary", "dim", "blocks", "heads", "conv_width", "qkv_block", "max_positions")
        optional = ("inner_dim", "slstm_heads", "ffn_dim")
        for name in (*positive, "max_sequences", *optional):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be a positive whole number, not {value}")
        expansions = ("expansion", "key_expansion", "value_expansion", "ffn_expansion")
        for name in (*expansions, "norm_eps", "rotary_base"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} must be positive, not {value}")
        for name in ("gate_cap", "logit_cap", "slstm_conv_width"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigError(f"{name} must not be negative, not {value}")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    def _check_blocks(self) -> None:
        """Refuse widths that heads and diagonal blocks do not divide, and sLSTM blocks that do not exist."""
        strange = [index for index in self.slstm_at if not 0 <= index < self.blocks]
        if strange or len(set(self.slstm_at)) < len(self.slstm_at):
            raise ConfigError(
                f"slstm_at must name different blocks from 0 to {self.blocks - 1}, not {list(self.slstm_at)}"
            )
        mlstm = len(self.slstm_at) < self.blocks
        widths = {"the inner width": self.inner}
        if self.block == "post_up":
            widths = {"the key width": self.key_dim, "the value width": self.value_dim}
        for name, width in widths.items():
            if mlstm and (width < 1 or width % self.heads):
                raise ConfigError(f"{name} {width} is not divisible by heads={self.heads}")
        if mlstm and self.block == "pre_up" and self.inner % self.qkv_block:
            raise ConfigError(f"the inner width {self.inner} is not divisible by qkv_block={self.qkv_block}")
        if self.slstm_at and self.dim % self.recurrent_heads:
            raise ConfigError(
                f"the width dim={self.dim} is not divisible by {self.recurrent_heads} sLSTM heads"
            )

    def _check_reading(self) -> None:
        """Refuse directions, strands and objectives that contradict each other."""
        if self.objective != "masked" and not self.causal:
            raise ConfigError(
                f"a model that {self.sight} sees its targets: use objective='masked', or one strand, "
                "direction='causal' and causal convolutions"
            )
        if self.reverse_complement != "none" and self.family != "dna":
            raise ConfigError(
                f"reverse_complement={self.reverse_complement!r} is for DNA, not for {self.family}"
            )
        if self.double_residual and self.direction not in ("shared", "two_sided"):
            raise ConfigError("double_residual only exists for direction='shared' and 'two_sided'")
        if self.direction == "two_sided" and self.block != "pre_up":
            raise ConfigError("direction='two_sided' only exists for block='pre_up'")
        if self.flip_strand_heads and not (self.slstm_at and self.reverse_complement == "equivariant"):
            raise ConfigError(
                "flip_strand_heads only exists for sLSTM blocks with reverse_complement='equivariant'"
            )

    def _check_positions(self) -> None:
        """Refuse positions that a width or a symmetry cannot carry."""
        if self.rotary != "none":
            if self.block != "pre_up":
                raise ConfigError(f"rotary={self.rotary!r} only exists for block='pre_up'")
            width = self.inner // self.heads if self.rotary == "head" else self.inner
            if width % 2:
                raise ConfigError(f"rotary={self.rotary!r} turns pairs of channels: {width} is odd")
        if self.tie_weights and self.position_embedding.startswith("learned"):
            raise ConfigError(
                "tied weights need an embedding of the whole width, which learned positions share"
            )
        parts = {"learned": 2, "learned_2d": 4, "sinusoidal": 2}.get(self.position_embedding, 1)
        if self.dim % parts:
            raise ConfigError(
                f"position_embedding={self.position_embedding!r} needs a dim divisible by {parts}, not {self.dim}"
            )
        # before the gates are computed, positions are no longer distances
        counted = self.position_embedding != "none" or self.rotary not in ("none", "head")
        if counted and self.reverse_complement == "equivariant":
            raise ConfigError(
                "positions that embeddings or gates see count from one end: only rotary='head' can be equivariant"
            )

    @property
    def inner(self) -> int:
        """Return the width I of the keys, queries and values of a pre_up block, all heads together."""
        if self.inner_dim is not None:
            return self.inner_dim
        return _rounded_up(self.expansion * self.dim)

    @property
    def key_dim(self) -> int:
        """Return the width of queries and keys, all heads together."""
        return int(self.key_expansion * self.dim) if self.block == "post_up" else self.inner

    @property
    def value_dim(self) -> int:
        """Return the width of values, all heads together."""
        return int(self.value_expansion * self.dim) if self.block == "post_up" else self.inner

    @property
    def ffn_width(self) -> int:
        """Return the width P of the feed-forward layers."""
        if self.ffn_dim is not None:
            return self.ffn_dim
        return _rounded_up((self.ffn_expansion or _FFN_EXPANSION[self.block]) * self.dim)

    @property
    def recurrent_heads(self) -> int:
        """Return the number of sLSTM heads."""
        return self.slstm_heads or self.heads

    @property
    def recurrent_conv(self) -> int:
        """Return the width of the convolution of sLSTM blocks, 0 for none."""
        return self.conv_width if self.slstm_conv_width is None else self.slstm_conv_width

    @property
    def gates_capped_at(self) -> float:
        """Return the soft cap of the gates of post_up blocks, 0 for none."""
        return _GATE_CAP if self.gate_cap is None else self.gate_cap

    @property
    def logits_capped_at(self) -> float:
        """Return the soft cap of the logits, 0 for none."""
        if self.logit_cap is not None:
            return self.logit_cap
        return _LOGIT_CAP if self.block == "post_up" else 0.0

    @property
    def equivariant(self) -> bool:
        """Tell whether the model reads both strands with shared weights."""
        return self.reverse_complement == "equivariant"

    @property
    def causal(self) -> bool:
        """Tell whether every block reads left to right only."""
        convolved = self.conv_causal and self.slstm_conv_causal
        return self.direction == "causal" and not self.equivariant and convolved

    @property
    def sight(self) -> str:
        """Say in words how the model reads: "reads left to right"."""
        if self.causal:
            return "reads left to right"
        if self.equivariant:
            return "reads both strands"
        if self.direction != "causal":
            return f"reads both ways ({self.direction})"
        return "looks ahead in its convolutions"

    @property
    def positioned(self) -> bool:
        """Tell whether anything depends on the positions of tokens."""
        return self.rotary != "none" or self.position_embedding != "none"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` turns back into an equal configuration."""
        return asdict(self)

    def departures(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults: what identifies a model also when fields are added."""
        known = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in self.to_dict().items() if value != known[name]}

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


def _as_tuple(value: Any) -> Any:
    """Turn a list of whole numbers into a tuple, and anything else into what the check of types refuses."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(value) if all(type(index) is int for index in value) else list(value)


def _rounded_up(width: float) -> int:
    """Round a width up to a multiple of 64."""
    return -(-int(width) // 64) * 64
