"""A block of the set reader: all examples write into one memory, then examples and queries read it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.memory import read, write
from bio_xlstm.kernels.mlstm.state import MlstmState
from bio_xlstm.layers.norm import HeadNorm


class Read(NamedTuple):
    """Hold the examples as a block leaves them (B, N, D), and the memory that it filled."""

    points: Tensor
    memory: MlstmState


class SetBlock(nn.Module):
    """An mLSTM over a set, and a feed-forward layer; residual.

    `examples` is the first reading: it fills the memory, and every example reads all others from it, so that the next
    block writes what the whole set makes of them. `queries` reads the same memory and leaves it as it is.
    """

    def __init__(self, config: InContextConfig) -> None:
        super().__init__()
        dim, self.heads = config.dim, config.heads
        self.norm = nn.LayerNorm(dim)
        self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))
        self.input_gate = nn.Linear(dim, config.heads)
        self.output_gate = nn.Linear(dim, dim)
        self.head_norm = HeadNorm(config.heads, dim)
        self.out = nn.Linear(dim, dim)
        self.feed_norm = nn.LayerNorm(dim)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(config.dropout / 2)

    def examples(self, points: Tensor) -> Read:
        """Read a set (B, N, D)."""
        x = self.norm(points)
        memory = write(self._split(self.k(x)), self._split(self.v(x)), self.input_gate(x))
        return Read(self._answer(points, x, memory), memory)

    def queries(self, points: Tensor, memory: MlstmState) -> Tensor:
        """Let queries (B, M, D) read what `examples` filled."""
        return self._answer(points, self.norm(points), memory)

    def _answer(self, points: Tensor, x: Tensor, memory: MlstmState) -> Tensor:
        h = self.head_norm(read(self._split(self.q(x)), memory))  # (B, M, D)
        y = points + self.dropout(self.out(h * torch.sigmoid(self.output_gate(x))))
        return y + self.dropout(self.down(F.gelu(self.up(self.feed_norm(y)))))

    def _split(self, x: Tensor) -> Tensor:
        """Cut channels into heads: (B, N, D) -> (B, N, H, K)."""
        return x.unflatten(-1, (self.heads, -1))
