"""The gated feed-forward layer behind a cell (Beck et al. 2024; SwiGLU in xLSTM-7B, Beck et al. 2025)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.config import ModelConfig
from bio_xlstm.layers.initialise import init_inner, init_outer
from bio_xlstm.layers.projection import Projection

# what one half of the projection goes through before it gates the other
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"pre_up": F.gelu, "post_up": F.silu}


class FeedForward(nn.Module):
    """Map every token by itself: down(activation(a) * b) with [a | b] = up(x)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        bias = config.bias and config.block == "post_up"
        self.activation = _ACTIVATIONS[config.block]
        self.up = Projection(config.dim, 2 * config.ffn_width, bias=bias)
        self.down = Projection(config.ffn_width, config.dim, bias=bias)
        self.dropout = nn.Dropout(config.dropout)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Take and give (B, T, D)."""
        gate, value = self.up(x).chunk(2, dim=-1)  # (B, T, P) each
        return self.dropout(self.down(self.activation(gate) * value))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initialise as xLSTM does: small maps, output scaled by the depth."""
        init_inner(self.up, self.config)
        init_outer(self.down, self.config)
