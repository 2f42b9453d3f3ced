"""How much each part of an answer counts: with few examples what was learned, with many what the support itself says.

What was learned knows the molecules that it was learned from, and would be trusted too much if it were weighed on
those: training weighs on molecules that it has not seen (stacking: Wolpert 1992).
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bio_xlstm.in_context.labels import TASKS

if TYPE_CHECKING:
    from bio_xlstm.in_context.model import SetState

# prior, ridge, set reader, process
PARTS = 4
_HIDDEN = 32


class Weighing(nn.Module):
    """Weigh the parts of an answer by what is known of support and query beside them."""

    def __init__(self) -> None:
        super().__init__()
        # logarithms of what turns the process's answer into log-odds, and into standardised numbers
        self.scale = nn.Parameter(torch.tensor([3.0, 1.0]).log())
        self.inner, self.outer = nn.Linear(4 + len(TASKS), _HIDDEN), nn.Linear(_HIDDEN, PARTS)
        # all parts count 1 before anything was learned
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, parts: Tensor, nearest: Tensor, leverage: Tensor, state: "SetState") -> Tensor:
        """Add parts (B, M, PARTS) up: (B, M); similarity to the nearest example and leverage are (B, M)."""
        place = TASKS.index(state.task)
        size = state.process.there.sum(1).float().log2()[:, None].expand_as(nearest)
        noise = state.process.noise.log10()[:, None].expand_as(nearest)
        task = torch.zeros(*nearest.shape, len(TASKS))
        task[..., place] = 1
        known = [size / 4 - 1, noise, 2 * nearest - 1, leverage.detach().log1p()]
        seen = torch.cat([torch.stack(known, -1), task], -1)
        weights = self.outer(nn.functional.gelu(self.inner(seen))).exp()
        *learned, process = (weights * parts).unbind(-1)
        return sum(learned, process * self.scale[place].exp())
