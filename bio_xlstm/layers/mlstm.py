"""The mLSTM layer of the Bio-xLSTM models, with its up-projection before the cell (Beck et al. 2024, section 4.4)."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.kernels.mixer import MixerWeights, PackedWeights, can_pack, mlstm_mixer, pack
from bio_xlstm.kernels.mlstm import MlstmState
from bio_xlstm.kernels.packing import check_cu_seqlens, find_bounds
from bio_xlstm.layers.block_diagonal import BlockDiagonal
from bio_xlstm.layers.norm import HeadNorm
from bio_xlstm.layers.pieces import read_in_pieces
from bio_xlstm.layers.projection import Projection

# what is read at once on a CPU without gradients: so many tokens, or so many numbers of the up-projection (4 MB)
_PIECE_TOKENS, _PIECE_NUMBERS = 1024, 1 << 20


class LayerState(NamedTuple):
    """What an mLSTM layer remembers of N sequences."""

    mlstm: MlstmState
    """Matrix memory, normaliser and stabiliser."""
    conv: Tensor
    """Last inputs of the convolution, (N, W - 1, I), oldest first."""


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
        reverse: bool = False,
        with_state: bool = True,
    ) -> tuple[Tensor, LayerState | None]:
        """Take (B, T, D) and give (B, T, D) with the state after the last token read, if wanted."""
        given = None if state is None else (state.mlstm, state.conv)
        batch, time, _ = x.shape
        tokens = max(_PIECE_TOKENS, _PIECE_NUMBERS // self.up.out_features)
        if x.device.type == "cpu" and not torch.is_grad_enabled() and batch * time > tokens:
            weights = self.weights()
            packed = pack(weights) if can_pack(weights) else None
            read = partial(self._read, reverse=reverse, packed=packed)
            if cu_seqlens is not None:
                check_cu_seqlens(cu_seqlens, batch, time)
            bounds = find_bounds(batch, time, cu_seqlens)
            flat = x.flatten(0, 1)[None]  # (1, B T, D)
            y, after = read_in_pieces(read, flat, bounds, tokens, given, reverse, with_state)
            y = y.view_as(x)
        else:
            y, after = self._read(x, cu_seqlens, given, with_state, reverse=reverse)
        return self.dropout(y), None if after is None else LayerState(*after)

    def _read(
        self,
        x: Tensor,
        cu_seqlens: Tensor | None,
        state: tuple[MlstmState, Tensor] | None,
        with_state: bool,
        *,
        reverse: bool,
        packed: PackedWeights | None = None,
    ) -> tuple[Tensor, tuple[MlstmState, Tensor] | None]:
        """Project up, mix, project down: (B, T, D) -> (B, T, D)."""
        y, after = mlstm_mixer(
            self.up(x),  # (B, T, 2 I)
            self.weights(),
            eps=self.norm.eps,
            state=state,
            cu_seqlens=cu_seqlens,
            reverse=reverse,
            with_state=with_state,
            packed=packed,
            backend=self.backend,
        )  # y (B, T, I)
        return self.down(y), after

    def weights(self) -> MixerWeights:
        """Name the weights between the two projections."""
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
