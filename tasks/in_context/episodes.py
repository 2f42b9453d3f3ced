"""Episodes: a support and queries of one assay, drawn by (seed, step) alone, so that a resumed run draws the same."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.tasks.in_context.assays import Assay
from bio_xlstm.tasks.in_context.recipe import EpisodeSettings

# queries that an assay must have beside the support
_FEWEST_QUERIES = 8
# of an assay, molecules beyond so many do not make it drawn more often
_MOST_COUNTED = 1000
_SHARES = (0.1, 0.9)


class Episodes(NamedTuple):
    """Hold B episodes of N examples and Q queries."""

    molecules: np.ndarray  # (B, N + Q) int64
    support: Labels  # (B, N)
    targets: Tensor  # (B, Q) 0 or 1, or numbers on the scale of the support
    relations: Tensor  # (B, Q)
    counted: Tensor  # (B, Q) 1 for a query, 0 for a place that stays empty
    reference: np.ndarray  # (R,) int64, molecules that have no part in any episode's labels
    turned: Tensor  # (B,) 1 where all labels of an episode stand for their opposites


class EpisodeSampler:
    """Draw the episodes of a step from assays.

    A share of the episodes (`turned`) has its labels turned into their opposites: what a molecule was measured to be is
    then no constant that could be learned by heart, and the support alone tells (memorisation: Yin et al. 2020).
    """

    def __init__(
        self, assays: Sequence[Assay], settings: EpisodeSettings, reference: int, *, turned: float = 0.5
    ) -> None:
        self.settings, self.reference, self.turned = settings, reference, turned
        self.molecules = 1 + max((int(assay.molecules.max()) for assay in assays), default=-1)
        self.pools = {
            "binary": list(assays),
            "regression": [one for one in map(_with_numbers, assays) if one is not None],
        }
        for task, share in (("binary", 1 - settings.numbers), ("regression", settings.numbers)):
            largest = max((len(assay.molecules) for assay in self.pools[task]), default=0)
            if share and largest < max(settings.supports) + _FEWEST_QUERIES:
                raise ConfigError(
                    f"[training] supports of {max(settings.supports)} need an assay of "
                    f"{max(settings.supports) + _FEWEST_QUERIES} molecules; the largest for {task} has {largest}"
                )

    def draw(self, step: int) -> Episodes:
        """Draw the episodes of a step."""
        settings = self.settings
        draw = np.random.default_rng((settings.seed, step))
        task = "regression" if draw.random() < settings.numbers else "binary"
        size = int(draw.choice(settings.supports))
        pool = [assay for assay in self.pools[task] if len(assay.molecules) >= size + _FEWEST_QUERIES]
        weights = np.array([min(len(assay.molecules), _MOST_COUNTED) for assay in pool]) ** 0.5
        count = min(settings.examples // (size + settings.queries), len(pool))
        chosen = draw.choice(len(pool), count, replace=False, p=weights / weights.sum())
        rows = [self._members(pool[place], size, task, draw) for place in chosen]
        around = draw.choice(self.molecules, self.reference, replace=self.molecules < self.reference)
        turned = torch.from_numpy(draw.random(count) < self.turned).float()
        plain = _lay_out([pool[place] for place in chosen], rows, (size, settings.queries), task)
        return _turn(Episodes(*plain, around, turned))

    def _members(self, assay: Assay, size: int, task: str, draw: np.random.Generator) -> np.ndarray:
        """Draw examples, then queries, of one assay; for classes with like shares in both."""
        order = draw.permutation(len(assay.molecules))
        most = size + self.settings.queries
        if task == "regression":
            return order[:most]
        positive = assay.classes[order] == 1
        share = positive.mean()
        if draw.random() < self.settings.unbalanced:
            share = draw.uniform(*_SHARES)
        pools = [order[positive], order[~positive]]
        wanted = _split(size, share, [len(pool) for pool in pools])
        support = [pool[:number] for pool, number in zip(pools, wanted, strict=True)]
        rest = [pool[number:] for pool, number in zip(pools, wanted, strict=True)]
        asked = _split(min(self.settings.queries, sum(map(len, rest))), share, [len(pool) for pool in rest])
        queries = [pool[:number] for pool, number in zip(rest, asked, strict=True)]
        return np.concatenate([*support, *queries])


def _lay_out(
    assays: Sequence[Assay], rows: Sequence[np.ndarray], shape: tuple[int, int], task: str
) -> tuple[np.ndarray, Labels, Tensor, Tensor, Tensor]:
    """Put episodes of N examples and Q queries side by side; empty places repeat the first example."""
    size, width = shape[0], sum(shape)
    filled = np.stack([np.concatenate([own, np.repeat(own[:1], width - len(own))]) for own in rows])
    counted = np.stack([np.arange(size, width) < len(own) for own in rows])

    def cells(field: str) -> np.ndarray:
        return np.stack([getattr(assay, field)[own] for assay, own in zip(assays, filled, strict=True)])

    relations = torch.from_numpy(cells("relations")).float()
    if task == "binary":
        classes = torch.from_numpy(cells("classes"))
        support, targets = Labels.of_classes(classes[:, :size]), classes[:, size:]
    else:
        numbers = torch.from_numpy(cells("numbers"))
        support = Labels.of_numbers(numbers[:, :size], relations[:, :size])
        targets = (numbers[:, size:] - support.shift[:, None]) / support.scale[:, None]
    counts = torch.from_numpy(counted).float()
    return cells("molecules"), support, targets, relations[:, size:], counts


def _turn(episodes: Episodes) -> Episodes:
    """Turn the labels of the episodes that are to be turned."""
    sign = 1 - 2 * episodes.turned[:, None]  # (B, 1)
    support, targets = episodes.support, episodes.targets
    turned = 1 - targets if support.task == "binary" else -targets
    return episodes._replace(
        support=support._replace(values=sign * support.values, relations=sign * support.relations),
        targets=torch.where(sign < 0, turned, targets),
        relations=sign * episodes.relations,
    )


def _split(count: int, share: float, available: list[int]) -> tuple[int, int]:
    """Divide a count between positives and negatives near a share; both where both are available.

    `available` must add up to the count at least.
    """
    lowest, highest = max(count - available[1], 0), min(count, available[0])
    if count > 1:
        lowest, highest = max(lowest, min(1, highest)), min(highest, count - min(1, available[1]))
    positive = min(max(round(count * share), lowest), highest)
    return positive, count - positive


def _with_numbers(assay: Assay) -> Assay | None:
    """Keep the molecules of an assay that have a number; None where all numbers are equal, or bounds."""
    known = np.isfinite(assay.numbers)
    kept = Assay(assay.name, *(part[known] for part in assay[1:]))
    exact = kept.numbers[kept.relations == 0]
    return kept if len(np.unique(exact)) >= _FEWEST_QUERIES else None
