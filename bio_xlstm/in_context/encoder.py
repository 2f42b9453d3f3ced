"""From what is known of a molecule without any assay to a point in which assays are easy to learn."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.described import Described

# of the counts of substructures, in training: as if some were not seen
_DROPPED_COUNTS = 0.3


class Encoder(nn.Module):
    """Map descriptions of N molecules to points (N, D): a table of substructures and the language model's embedding."""

    def __init__(self, config: InContextConfig) -> None:
        super().__init__()
        self.substructures = nn.EmbeddingBag(config.bits, config.hidden, mode="sum")
        nn.init.normal_(self.substructures.weight, std=0.1)
        self.embedding = nn.Linear(config.embedding, config.hidden)
        self.norm = nn.LayerNorm(config.hidden)
        self.inner = nn.Linear(config.hidden, config.hidden)
        self.inner_norm = nn.LayerNorm(config.hidden)
        self.outer = nn.Linear(config.hidden, config.dim)
        self.outer_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        # of the embeddings of the training molecules
        self.register_buffer("mean", torch.zeros(config.embedding))
        self.register_buffer("scale", torch.ones(config.embedding))

    mean: Tensor
    scale: Tensor

    def forward(self, described: Described) -> Tensor:
        """Take N descriptions, give (N, D)."""
        weights = torch.log1p(described.counts)
        if self.training:
            weights = weights * (torch.rand_like(weights) > _DROPPED_COUNTS)
        seen = self.substructures(described.bits, described.offsets, per_sample_weights=weights)
        known = (described.embeddings - self.mean) / self.scale
        x = self.dropout(F.gelu(self.norm(seen + self.embedding(self.dropout(known)))))  # (N, hidden)
        x = x + self.dropout(F.gelu(self.inner(self.inner_norm(x))))
        points: Tensor = self.outer_norm(self.outer(x))
        return points
