"""What is made of the positions of tokens before the first block."""

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig

# base of the frequencies of DNA-xLSTM's sinusoids
_BASE = 100_000.0


class LearnedPositions(nn.Module):
    """Join the embedding of a token with those of its place and, if asked, of the number of its sequence."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        both = config.position_embedding == "learned_2d"
        width = config.dim // (4 if both else 2)
        self.place = nn.Embedding(config.max_positions, width)
        self.sequence = nn.Embedding(config.max_sequences, width) if both else None
        for table in (self.place, self.sequence):
            if table is not None:
                nn.init.normal_(table.weight, std=(2 / (5 * width)) ** 0.5)

    def forward(self, x: Tensor, place: Tensor, sequence: Tensor) -> Tensor:
        """Take (B, T, D / 2) and give (B, T, D)."""
        parts = [x, _look_up(self.place, place)]
        if self.sequence is not None:
            parts.append(_look_up(self.sequence, sequence))
        return torch.cat(parts, dim=-1)


class SinusoidalPositions(nn.Module):
    """Add waves of many lengths, scaled by one learned number, to the embedding of a token."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), config.dim**-0.5))

    def forward(self, x: Tensor, place: Tensor, sequence: Tensor) -> Tensor:
        """Take and give (B, T, D)."""
        half = x.shape[-1] // 2
        # on the CPU, as not every device has float64
        wave = torch.arange(half, dtype=torch.float64) / half
        angles = place.cpu().double()[..., None] * _BASE**-wave  # (B, T, D / 2)
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1).to(x.dtype)
        return x + waves.to(x.device) * self.scale


def position_embedding_of(config: ModelConfig) -> nn.Module | None:
    """Make the module that reads positions, if the model has one."""
    if config.position_embedding == "none":
        return None
    return (SinusoidalPositions if config.position_embedding == "sinusoidal" else LearnedPositions)(config)


def _look_up(table: nn.Embedding, index: Tensor) -> Tensor:
    """Embed numbers (B, T); those beyond the table share its last row."""
    rows: Tensor = table(index.clamp(max=table.num_embeddings - 1))
    return rows
