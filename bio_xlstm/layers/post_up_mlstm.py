"""The mLSTM layer of xLSTM-7B, which leaves the up-projection to a feed-forward layer behind it (Beck et al. 2025)."""

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.kernels.mlstm import MlstmState, mlstm
from bio_xlstm.layers.initialise import init_gates, init_inner, init_outer
from bio_xlstm.layers.norm import HeadNorm
from bio_xlstm.layers.projection import Projection
from bio_xlstm.layers.soft_cap import soft_cap
from bio_xlstm.layers.state import PLAIN, LayerState, Reading

# input gates that begin almost closed keep gradients small (TFLA, Beck et al. 2025)
_OPENING = -10.0


class PostUpMlstmLayer(nn.Module):
    """Mix tokens with a matrix memory between dense maps: queries and keys may be narrower than values."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        keys, values = config.key_dim, config.value_dim
        self.config = config
        self.backend = "auto"
        self.query = Projection(config.dim, keys, bias=config.bias)
        self.key = Projection(config.dim, keys, bias=config.bias)
        self.value = Projection(config.dim, values, bias=config.bias)
        self.output_gate = Projection(config.dim, values, bias=config.bias)
        self.input_gate = Projection(config.dim, config.heads)
        self.forget_gate = Projection(config.dim, config.heads)
        self.norm = HeadNorm(config.heads, values, config.norm_eps, config.bias)
        self.down = Projection(values, config.dim, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)
        self.reset_parameters()

    def forward(
        self, x: Tensor, reading: Reading = PLAIN, prepared: None = None
    ) -> tuple[Tensor, LayerState | None]:
        """Take (B, T, D) and give (B, T, D) with the state after the last token read, if wanted."""
        maps = (self.query, self.key, self.value)
        q, k, v = (project(x).unflatten(-1, (self.config.heads, -1)) for project in maps)  # (B, T, H, K or V)
        i, f = (
            soft_cap(gate(x), self.config.gates_capped_at) for gate in (self.input_gate, self.forget_gate)
        )  # (B, T, H) each
        before = None if reading.state is None else reading.state.memory
        assert before is None or isinstance(before, MlstmState)
        h, memory = mlstm(
            *(q, k, v, i, f),
            state=before,
            cu_seqlens=reading.cu_seqlens,
            reverse=reading.reverse,
            backend=self.backend,
        )  # h (B, T, H, V)
        y = self.norm(h).to(x.dtype) * torch.sigmoid(self.output_gate(x))
        return self.dropout(self.down(y)), LayerState(memory, None) if reading.with_state else None

    def prepare(self) -> None:
        """Tell that there is nothing to share among calls."""

    @property
    def widest(self) -> int:
        """Return the most numbers that one token needs between two steps."""
        return 2 * (self.config.key_dim + self.config.value_dim)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initialise as the other layers, with input gates that begin almost closed."""
        for linear in (self.query, self.key, self.value, self.output_gate):
            init_inner(linear, self.config)
        init_outer(self.down, self.config)
        init_gates(self.input_gate, self.forget_gate, _OPENING)
