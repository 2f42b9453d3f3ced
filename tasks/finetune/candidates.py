"""Forms that a head on frozen features may take: which layers it sees, and whether it is linear or curved."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.heads.features import Features
from bio_xlstm.heads.lift import RadialLift, square_distances

# widths of the Gaussian kernel: gamma times the median squared distance
WIDTHS = (0.3, 1.0, 3.0)
# training examples that radial features compare with: while the form is chosen, and in the end
FEW_LANDMARKS, LANDMARKS = 512, 1024
# layers that are embedded where a model has more
MOST_LAYERS = 7
_MEDIAN_OF = 500


class Candidate(NamedTuple):
    """Name a form: some of the layers, and the width of the kernel (None: linear)."""

    layers: tuple[int, ...]
    width: float | None = None

    @property
    def penalties(self) -> tuple[float, ...]:
        """Return the strengths of ridge regression to try: radial features are at most 1, others add up."""
        return tuple(10.0**power for power in (range(6) if self.width is None else range(-3, 2)))


class Standard(NamedTuple):
    """Hold mean and scale of features (F,)."""

    centre: Tensor
    scale: Tensor


def auto_layers(layer_count: int) -> tuple[int, ...]:
    """Return the layers to embed: all of a small model, evenly spread ones of a deep one; always the last."""
    count = min(layer_count, MOST_LAYERS)
    return tuple(sorted({round(place) for place in np.linspace(0, layer_count - 1, count)}))


def candidates(layers: Sequence[int], curve: str) -> list[Candidate]:
    """Return the forms to try on these layers: all of them together, a middle one, the last, one by one."""
    sets = dict.fromkeys([tuple(layers), (layers[len(layers) // 2],), (layers[-1],)])
    widths: dict[str, tuple[float | None, ...]] = {
        "auto": (None, *WIDTHS),
        "linear": (None,),
        "radial": WIDTHS,
    }
    return [Candidate(one, width) for one in sets for width in widths[curve]]


def columns_of(features: Features, layers: Sequence[int], width: int) -> np.ndarray:
    """Return which columns of all features belong to some layers; what is said of the length stays with all."""
    per_layer = width * len(features.pools)
    chosen = [
        np.arange(place * per_layer, (place + 1) * per_layer)
        for place, layer in enumerate(features.layers)
        if layer in layers
    ]
    rest = np.arange(per_layer * len(features.layers), per_layer * len(features.layers) + 2 * features.length)
    return np.concatenate((*chosen, rest)) if not features.per_token else np.concatenate(chosen)


def standardise(points: Tensor) -> Standard:
    """Return mean and standard deviation of points (N, F), 1 for what does not vary."""
    spread = points.std(0, correction=0)
    floor = 1e-6 * spread.max().clamp_min(1e-12)
    return Standard(points.mean(0), torch.where(spread > floor, spread, torch.ones(())))


def make_lift(points: Tensor, width: float, seed: int, count: int = LANDMARKS) -> RadialLift:
    """Choose landmarks among standardised points (N, F), and a gamma by their median distance."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(points))[:count])
    landmarks = torch.unique(points[chosen], dim=0)
    some = landmarks[torch.from_numpy(rng.permutation(len(landmarks))[:_MEDIAN_OF])]
    distances = square_distances(some, some)
    apart = distances[distances > 1e-9]
    median = float(apart.median()) if len(apart) else 1.0
    return RadialLift.of(landmarks, width / median)
