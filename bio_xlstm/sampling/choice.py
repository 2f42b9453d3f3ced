"""How the next id is chosen among what a model thinks likely."""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Hold how sequences are drawn; ConfigError refuses a value that means nothing.

    What is left out by one setting is not seen by the next: penalties, temperature, top_k, top_p, min_p.
    """

    seed: int = 0
    temperature: float = 1.0
    """Flattens (above 1) or sharpens (below 1) the probabilities; 0 takes the likeliest id always."""
    top_k: int | None = None
    """Only so many of the likeliest ids (Fan et al. 2018)."""
    top_p: float = 1.0
    """Only the likeliest ids that make up this share (Holtzman et al. 2020)."""
    min_p: float = 0.0
    """Only ids at least this times as likely as the likeliest (Nguyen et al. 2024)."""
    repetition_penalty: float = 1.0
    """Divides the logits of ids that were drawn before, and multiplies negative ones (Keskar et al. 2019)."""
    no_repeat: int | None = None
    """No run of that many ids stands in a sequence twice."""
    longest: int = 1000
    """Most ids of a sequence, given ones included."""

    def __post_init__(self) -> None:
        for name in ("temperature", "repetition_penalty"):
            value = getattr(self, name)
            _require(isfinite(value), f"{name} must be a finite number, not {value:g}")
        _require(self.temperature >= 0, f"temperature must not be negative, not {self.temperature:g}")
        _require(self.top_k is None or self.top_k >= 1, f"top_k must leave at least one id, not {self.top_k}")
        _require(0 < self.top_p <= 1, f"top_p must be a share above 0, at most 1, not {self.top_p:g}")
        _require(0 <= self.min_p <= 1, f"min_p must be a share between 0 and 1, not {self.min_p:g}")
        _require(
            self.repetition_penalty > 0,
            f"repetition_penalty must be positive, not {self.repetition_penalty:g}",
        )
        _require(
            self.no_repeat is None or self.no_repeat >= 1,
            f"no_repeat must be at least 1, not {self.no_repeat}",
        )
        _require(self.longest >= 1, f"a sequence needs room for at least one id, not {self.longest}")

    @property
    def greedy(self) -> bool:
        """Tell whether the likeliest id is always taken."""
        return self.temperature == 0

    @property
    def looks_back(self) -> bool:
        """Tell whether the choice depends on what was drawn before."""
        return self.repetition_penalty != 1 or self.no_repeat is not None


def likely(scores: Tensor, sampling: Sampling) -> Tensor:
    """Return the probabilities (n, V) to draw from, up to a factor; `scores` are logits, -inf for what is refused.

    >>> likely(torch.tensor([[2.0, 1.0, 0.0]]), Sampling(top_k=2)).gt(0).tolist()
    [[True, True, False]]
    """
    # the maximum first: numbers over a temperature near 0 would run out of range
    scores = (scores - scores.max(1, keepdim=True).values) / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scores.shape[1]:
        least = scores.topk(sampling.top_k, dim=1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    chances = scores.exp()
    if sampling.top_p < 1:
        ordered = chances.sort(dim=1, descending=True).values
        share = ordered.cumsum(1) / ordered.sum(1, keepdim=True)
        # the id with which the share is reached is the last one taken
        taken = ((share - ordered / ordered.sum(1, keepdim=True)) < sampling.top_p).sum(1, keepdim=True)
        chances = chances.masked_fill(chances < ordered.gather(1, taken - 1), 0.0)
    # the likeliest has 1
    return chances.masked_fill(chances < sampling.min_p, 0.0) if sampling.min_p else chances


def penalised(scores: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make ids that were seen (n, V) less likely."""
    return torch.where(seen, torch.where(scores > 0, scores / penalty, scores * penalty), scores)


def repeating(ids: Tensor, lengths: Tensor, size: int, width: int) -> Tensor:
    """Mark the ids (n, width) after which a run of `size` ids would stand a second time in ids (n, L)."""
    count, room = ids.shape
    marked = torch.zeros((count, width), dtype=torch.bool, device=ids.device)
    if room < size:
        return marked
    place = torch.arange(room - size + 1, device=ids.device)
    same = (place + size <= lengths[:, None]).clone()  # (n, places) runs that are whole
    for back in range(1, size):
        # the run that the next id would end begins `size - 1` ids before the end
        ahead = (lengths - back).clamp(min=0)[:, None]
        same &= ids[:, size - 1 - back : size - 1 - back + len(place)] == ids.gather(1, ahead)
    same &= (lengths >= size)[:, None]
    follows = ids[:, size - 1 :][:, : len(place)]
    # what is not the same points at a column that is cut off
    target = torch.where(same, follows, width)
    wide = torch.zeros((count, width + 1), dtype=torch.bool, device=ids.device)
    return wide.scatter_(1, target, True)[:, :width]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
