"""The mLSTM layer of the Bio-xLSTM models, with its up-projection before the cell (Beck et al. 2024, section 4.4)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.errors import ConfigError
from bio_xlstm.kernels.mixer import MixerWeights, PreparedWeights, mlstm_mixer
from bio_xlstm.kernels.mlstm import MlstmState
from bio_xlstm.layers.block_diagonal import BlockDiagonal
from bio_xlstm.layers.norm import HeadNorm
from bio_xlstm.layers.projection import Projection


class LayerState(NamedTuple):
    """What an mLSTM layer remembers of N sequences."""

    mlstm: MlstmState
    """Matrix memory, normaliser and stabiliser."""
    conv: Tensor
    """Last inputs of the convolution, (N, W - 1, I), oldest first."""


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
        self,
        x: Tensor,
        cu_seqlens: Tensor | None = None,
        state: LayerState | None = None,
        with_state: bool = True,
        *,
        reverse: bool = False,
        prepared: PreparedWeights | None = None,
    ) -> tuple[Tensor, LayerState | None]:
        """Take (B, T, D) and give (B, T, D) with the state after the last token read, if wanted.

        `prepared` comes from `prepare`, for many calls with the same weights.
        """
        y, after = mlstm_mixer(
            self.up(x),  # (B, T, 2 I)
            prepared or self.weights(),
            eps=self.norm.eps,
            state=None if state is None else (state.mlstm, state.conv),
            cu_seqlens=cu_seqlens,
            reverse=reverse,
            with_state=with_state,
            backend=self.backend,
        )  # y (B, T, I)
        return self.dropout(self.down(y)), None if after is None else LayerState(*after)

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
        config = self.config
        small = (2 / (5 * config.dim)) ** 0.5
        for weight in (self.up.weight, self.query.weight, self.key.weight, self.value.weight):
            nn.init.normal_(weight, std=small)
        nn.init.normal_(self.down.weight, std=2 / (config.blocks * config.dim**0.5))
        nn.init.uniform_(self.conv_weight, -(config.conv_width**-0.5), config.conv_width**-0.5)
        nn.init.zeros_(self.input_gate.weight)
        nn.init.zeros_(self.forget_gate.weight)
        nn.init.normal_(self.input_gate.bias, std=0.1)
        self.forget_gate.bias.copy_(torch.linspace(3.0, 6.0, config.heads))
        for linear in (self.up, self.down):
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
