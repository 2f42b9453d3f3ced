"""The sLSTM layer: a scalar memory per unit whose gates read the last output of their head (Beck et al. 2024)."""

from typing import Any

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.conv.centred import centred_conv
from bio_xlstm.kernels.slstm import SlstmState, slstm
from bio_xlstm.layers.block_diagonal import BlockDiagonal
from bio_xlstm.layers.initialise import init_small, init_taps
from bio_xlstm.layers.norm import HeadNorm
from bio_xlstm.layers.state import PLAIN, LayerState, Reading


class SlstmLayer(nn.Module):
    """Mix tokens with a scalar memory: convolve, remember, normalise every head.

    Input and forget gate see the convolved tokens, cell input and output gate the plain ones.
    """

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        dim, heads = config.dim, config.recurrent_heads
        width = dim // heads
        self.config, self.heads = config, heads
        self.backend = "auto"
        self.conv_weight, self.conv_bias = None, None
        if config.recurrent_conv:
            self.conv_weight = nn.Parameter(torch.empty(dim, config.recurrent_conv))
            self.conv_bias = nn.Parameter(torch.zeros(dim))
        self.input_gate = BlockDiagonal(dim, width)
        self.forget_gate = BlockDiagonal(dim, width)
        self.cell_input = BlockDiagonal(dim, width)
        self.output_gate = BlockDiagonal(dim, width)
        self.recurrent = nn.Parameter(torch.empty(heads, width, 4, width))  # last output, gate i f z o, unit
        self.bias = nn.Parameter(torch.zeros(heads, 4, width))
        self.norm = HeadNorm(heads, dim, config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.reset_parameters(index)

    def forward(
        self, x: Tensor, reading: Reading = PLAIN, prepared: None = None
    ) -> tuple[Tensor, LayerState | None]:
        """Take (B, T, D) and give (B, T, D) with the state after the last token read, if wanted."""
        before, window = (None, None) if reading.state is None else reading.state
        assert before is None or isinstance(before, SlstmState)
        convolved, window = self._convolve(x, reading, window)
        sources = (
            (convolved, self.input_gate),
            (convolved, self.forget_gate),
            (x, self.cell_input),
            (x, self.output_gate),
        )
        gates = [
            gate(source).unflatten(-1, (self.heads, -1)) for source, gate in sources
        ]  # (B, T, H, K) each
        y, memory = slstm(
            torch.stack(gates, dim=-2),  # (B, T, H, 4, K)
            self.recurrent,
            self.bias,
            state=before,
            cu_seqlens=reading.cu_seqlens,
            reverse=reading.reverse,
            backend=self.backend,
        )  # y (B, T, H, K)
        if self.config.flip_strand_heads and reading.second_strand:
            y = y.flip(2)
        return self.dropout(self.norm(y)), LayerState(memory, window) if reading.with_state else None

    def prepare(self) -> None:
        """Tell that there is nothing to share among calls."""

    @property
    def widest(self) -> int:
        """Return the most numbers that one token needs between two steps."""
        return 4 * self.config.dim

    def _convolve(self, x: Tensor, reading: Reading, window: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the tokens that input and forget gate see, and the last inputs."""
        if self.conv_weight is None:
            return x, None
        taps, shift = self.conv_weight, self.conv_bias
        order: dict[str, Any] = {
            "cu_seqlens": reading.cu_seqlens,
            "reverse": reading.reverse,
            "backend": self.backend,
        }
        if not self.config.slstm_conv_causal:
            return centred_conv(x, taps, shift, **order), None
        return causal_conv(x, taps, shift, state=window, activation="silu", **order)

    @torch.no_grad()
    def reset_parameters(self, index: int) -> None:
        """Initialise as xLSTM does: no recurrence yet, forget gates spread by unit and by depth of the block."""
        for gate in (self.input_gate, self.forget_gate, self.cell_input, self.output_gate):
            init_small(gate.weight, self.config)
        if self.conv_weight is not None:
            init_taps(self.conv_weight)
        nn.init.zeros_(self.recurrent)
        nn.init.zeros_(self.bias)
        units = self.bias.shape[-1]
        depth = index / max(1, self.config.blocks - 1)
        unit = torch.arange(units) / max(1, units - 1)
        # the first units of a head keep what they know, the last ones forget at once
        self.bias[:, 1].copy_(5 - 12 * unit ** (0.3 + 1.3 * depth))
