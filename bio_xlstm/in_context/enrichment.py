"""Context from molecules without labels: a point reads from a set of reference points what is usual around it.

Associative retrieval by a modern Hopfield layer (Ramsauer et al. 2021), as MHNfs (Schimunek et al. 2023) uses it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.in_context.config import InContextConfig

_HEADS = 8


class Enrichment(nn.Module):
    """Add to points what they retrieve from reference points."""

    reference: Tensor

    def __init__(self, config: InContextConfig) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(config.dim, config.dim) for _ in range(4))
        # points of molecules that training chose once; zeros until then
        self.register_buffer("reference", torch.zeros(config.reference, config.dim))

    def forward(self, points: Tensor, reference: Tensor | None = None) -> Tensor:
        """Take and give (N, D); `reference` (R, D) takes the place of the kept one."""
        stored = self.reference if reference is None else reference
        query, key, value = (
            layer(x).unflatten(-1, (_HEADS, -1)).transpose(0, 1)[None]  # (1, heads, N or R, K)
            for layer, x in ((self.q, points), (self.k, stored), (self.v, stored))
        )
        found = F.scaled_dot_product_attention(query, key, value)[0].transpose(0, 1).flatten(1)
        return points + self.out(found)
