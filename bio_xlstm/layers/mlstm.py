"""The mLSTM layer of the Bio-xLSTM models, with its up-projection before the cell (Beck et al. 2024, section 4.4)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.config import ModelConfig
from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.mlstm import MlstmState, mlstm
from bio_xlstm.layers.block_diagonal import BlockDiagonal
from bio_xlstm.layers.norm import HeadNorm


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
        self.up = nn.Linear(config.dim, 2 * inner, bias=config.bias)
        self.conv_weight = nn.Parameter(torch.empty(inner, config.conv_width))
        self.conv_bias = nn.Parameter(torch.zeros(inner))
        self.query = BlockDiagonal(inner, config.qkv_block, config.bias)
        self.key = BlockDiagonal(inner, config.qkv_block, config.bias)
        self.value = BlockDiagonal(inner, config.qkv_block, config.bias)
        self.input_gate = nn.Linear(3 * inner, heads)
        self.forget_gate = nn.Linear(3 * inner, heads)
        self.norm = HeadNorm(heads, inner, config.norm_eps)
        self.skip = nn.Parameter(torch.ones(inner))
        self.down = nn.Linear(inner, config.dim, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)
        self.reset_parameters()

    def forward(
        self,
        x: Tensor,
        cu_seqlens: Tensor | None = None,
        state: LayerState | None = None,
        reverse: bool = False,
    ) -> tuple[Tensor, LayerState]:
        """Take (B, T, D) and give (B, T, D) with the state after the last token read."""
        memory, window = state or (None, None)
        branch, gate = self.up(x).chunk(2, dim=-1)  # (B, T, I) each
        convolved, window = causal_conv(
            branch,
            self.conv_weight,
            self.conv_bias,
            state=window,
            cu_seqlens=cu_seqlens,
            reverse=reverse,
            activation="silu",
        )
        q, k, v = self.query(convolved), self.key(convolved), self.value(branch)
        i, f = self._gates(q, k, v)  # (B, T, H)
        q, k, v = (a.unflatten(-1, (self.config.heads, -1)) for a in (q, k, v))  # (B, T, H, K)
        h, memory = mlstm(q, k, v, i, f, state=memory, cu_seqlens=cu_seqlens, reverse=reverse)
        mixed = (self.norm(h) + self.skip * convolved) * F.silu(gate)  # (B, T, I)
        return self.dropout(self.down(mixed)), LayerState(memory, window)

    def _gates(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the three parts of the gates instead of concatenating their inputs."""
        weight = torch.cat((self.input_gate.weight, self.forget_gate.weight))  # (2 H, 3 I)
        bias = torch.cat((self.input_gate.bias, self.forget_gate.bias))
        from_q, from_k, from_v = weight.chunk(3, dim=1)
        gates = F.linear(q, from_q, bias) + F.linear(k, from_k) + F.linear(v, from_v)  # (B, T, 2 H)
        i, f = gates.chunk(2, dim=-1)
        return i, f

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
