"""The mLSTM layer of the Bio-xLSTM models, with its up-projection before the cell (Beck et al. 2024, section 4.4)."""

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.errors import ConfigError
from bio_xlstm.kernels.mixer import MixerWeights, PreparedWeights, Variant, mlstm_mixer
from bio_xlstm.kernels.mlstm import MlstmState
from bio_xlstm.layers.block_diagonal import BlockDiagonal
from bio_xlstm.layers.initialise import init_gates, init_inner, init_outer, init_small, init_taps
from bio_xlstm.layers.norm import HeadNorm
from bio_xlstm.layers.projection import Projection
from bio_xlstm.layers.state import PLAIN, LayerState, Reading

# modules whose weights are read without calling them
_READ: dict[str, type[nn.Module]] = {
    "query": BlockDiagonal,
    "key": BlockDiagonal,
    "value": BlockDiagonal,
    "input_gate": nn.Linear,
    "forget_gate": nn.Linear,
    "norm": HeadNorm,
}


def check_plain(name: str, module: nn.Module | None, kind: type[nn.Module]) -> None:
    """Raise ConfigError where a module computes something else than its kind does; parametrised ones are as good."""
    forward = getattr(module, "forward", None)
    if getattr(forward, "__func__", None) is not kind.forward:
        raise ConfigError(
            f"{name} was replaced by {type(module).__name__}, which would have no effect: its weights are read "
            "directly. Register the change as a parametrization (torch.nn.utils.parametrize)"
        )


class MlstmLayer(nn.Module):
    """Mix tokens with a matrix memory: up-project, convolve, remember, gate, down-project.

    Queries and keys see the convolved branch, values the branch before it; gates see all three.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner, heads = config.inner, config.heads
        self.config = config
        self.backend = "auto"
        self.up = Projection(config.dim, 2 * inner, bias=config.bias)
        self.conv_weight = nn.Parameter(torch.empty(inner, config.conv_width))
        self.conv_bias = nn.Parameter(torch.zeros(inner))
        self.query = BlockDiagonal(inner, config.qkv_block, config.bias)
        self.key = BlockDiagonal(inner, config.qkv_block, config.bias)
        self.value = BlockDiagonal(inner, config.qkv_block, config.bias)
        self.input_gate = nn.Linear(3 * inner, heads)
        self.forget_gate = nn.Linear(3 * inner, heads)
        self.norm = HeadNorm(heads, inner, config.norm_eps)
        self.skip = nn.Parameter(torch.ones(inner))
        self.down = Projection(inner, config.dim, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)
        self.reset_parameters()

    def forward(
        self, x: Tensor, reading: Reading = PLAIN, prepared: PreparedWeights | None = None
    ) -> tuple[Tensor, LayerState | None]:
        """Take (B, T, D) and give (B, T, D) with the state after the last token read, if wanted.

        `prepared` comes from `prepare`, for many calls with the same weights.
        """
        y, after = self._mix(self.up(x), reading, prepared)  # (B, T, 2 I) -> (B, T, I)
        return self.dropout(self.down(y)), after

    def both_ways(self, x: Tensor, reading: Reading) -> Tensor:
        """Add what the layer makes of (B, T, D) from either end, with one pair of projections for both."""
        up, prepared = self.up(x), self.prepare()
        opposite = reading._replace(reverse=not reading.reverse)
        mixed = self.down(self._mix(up, reading, prepared)[0] + self._mix(up, opposite, prepared)[0])
        # each direction by itself adds the shift
        return self.dropout(mixed if self.down.bias is None else mixed + self.down.bias)

    @property
    def widest(self) -> int:
        """Return the most numbers that one token needs between two steps."""
        return self.up.out_features

    def _mix(
        self, up: Tensor, reading: Reading, prepared: PreparedWeights | None
    ) -> tuple[Tensor, LayerState | None]:
        """Do what lies between the projections: (B, T, 2 I) to (B, T, I)."""
        y, after = mlstm_mixer(
            up,
            prepared or self.weights(),
            eps=self.norm.eps,
            state=_taken_apart(reading.state),
            cu_seqlens=reading.cu_seqlens,
            reverse=reading.reverse,
            with_state=reading.with_state,
            variant=self._variant(reading),
            backend=self.backend,
        )
        return y, None if after is None else LayerState(*after)

    def _variant(self, reading: Reading) -> Variant:
        """Say how tokens are read beside the plain recurrence; what is read from its end turns the other way."""
        config, turn = self.config, reading.rotation
        if turn is not None and reading.reverse:
            turn = turn.mirrored()
        return Variant(turn, not config.conv_causal, config.direction == "two_sided")

    def prepare(self) -> PreparedWeights:
        """Return the weights between the projections in a form that calls can share while they do not change."""
        return PreparedWeights(self.weights())

    def weights(self) -> MixerWeights:
        """Name the weights between the two projections; ConfigError where a module was replaced by another kind."""
        for name, kind in _READ.items():
            check_plain(name, self._modules[name], kind)
        return MixerWeights(
            self.conv_weight,
            self.conv_bias,
            self.query.weight,
            self.key.weight,
            self.value.weight,
            self.query.bias,
            self.key.bias,
            self.value.bias,
            self.input_gate.weight,
            self.input_gate.bias,
            self.forget_gate.weight,
            self.forget_gate.bias,
            self.norm.weight,
            self.skip,
        )

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initialise as xLSTM does: small maps, forget gates open from 3 to 6, output scaled by the depth."""
        init_inner(self.up, self.config)
        for diagonal in (self.query, self.key, self.value):
            init_small(diagonal.weight, self.config)
        init_outer(self.down, self.config)
        init_taps(self.conv_weight)
        init_gates(self.input_gate, self.forget_gate)


def _taken_apart(state: LayerState | None) -> tuple[MlstmState, Tensor] | None:
    """Return memory and window as the kernels take them."""
    if state is None:
        return None
    assert isinstance(state.memory, MlstmState) and state.conv is not None
    return state.memory, state.conv
