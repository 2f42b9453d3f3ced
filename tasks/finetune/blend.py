"""Which views stand beside the embedding, and how much each counts: by cross-validation, one view after the other."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.tasks.finetune.ridge import dual_predict

Weights = tuple[tuple[str, float], ...]
Group = tuple[np.ndarray, Tensor]
"""rows (M,) and their values (M, T) without NaN"""

# how much a view may count beside the embedding, which counts 1
_WEIGHTS = (0.1, 1.0, 10.0, 100.0)
# penalties around the one that suits the embedding alone
_STEPS = (0.1, 1.0, 10.0, 100.0)
# rows that views are chosen by, at most and at least, and targets of a panel
ROWS, FEWEST, _GROUPS = 1200, 30, 4
# standard errors by which a view must lower the squared error
_SURE = 1.0


class Trial(NamedTuple):
    """Hold views with their weights, a penalty in units of the mean square of a row, and squared errors (E,)."""

    views: Weights
    penalty: float
    errors: np.ndarray


def choose_views(
    base: Tensor, views: Mapping[str, Tensor], groups: Sequence[Group], folds: np.ndarray, penalty: float
) -> tuple[Trial, list[Trial]]:
    """Add views (N, F) to what a head sees of the embedding (N, M) while held-out errors fall; return all trials."""
    groups = sorted(groups, key=lambda group: -len(group[0]))[:_GROUPS]
    kernel = _kernel(base)
    kernels = {name: _kernel(view) for name, view in views.items()}
    size = mean_square(base)
    best = _best((), kernel, kernels, groups, folds, penalty / size)
    tried = [best]
    while len(best.views) < len(kernels):
        left = [name for name in kernels if name not in dict(best.views)]
        found = [
            _best((*best.views, (name, weight)), kernel, kernels, groups, folds, penalty / size)
            for name in left
            for weight in _WEIGHTS
        ]
        tried += found
        better = min(found, key=lambda trial: float(trial.errors.mean()))
        if not _surely_better(better.errors, best.errors):
            break
        best = better
    return best._replace(penalty=best.penalty * size), tried


def mean_square(points: Tensor) -> float:
    """Return the mean squared norm of centred points (N, F)."""
    return max(float((points - points.mean(0)).square().sum(1).mean()), 1e-12)


def share_of(views: Weights) -> float:
    """Return the share of the embedding in the mean square of everything."""
    return 1 / (1 + sum(weight for _, weight in views))


def _surely_better(errors: np.ndarray, before: np.ndarray) -> bool:
    """Tell whether errors fell by more than chance moves them."""
    gain = before - errors
    return bool(gain.mean() > _SURE * gain.std() / np.sqrt(len(gain)))


def _best(
    views: Weights,
    kernel: Tensor,
    kernels: Mapping[str, Tensor],
    groups: Sequence[Group],
    folds: np.ndarray,
    penalty: float,
) -> Trial:
    """Return the trial of some views with the penalty that suits them."""
    together = sum((weight * kernels[name] for name, weight in views), kernel) * share_of(views)
    trials = [
        Trial(views, penalty * step, _errors(together, groups, folds, penalty * step)) for step in _STEPS
    ]
    return min(trials, key=lambda trial: float(trial.errors.mean()))


def _errors(kernel: Tensor, groups: Sequence[Group], folds: np.ndarray, penalty: float) -> np.ndarray:
    """Return the squared errors of held-out values."""
    found = []
    for rows, wanted in groups:
        own = kernel[rows][:, rows]
        predicted = dual_predict(own, wanted, folds[rows], penalty)
        found.append((predicted - wanted).square().mean(1).numpy())
    return np.concatenate(found)


def _kernel(points: Tensor) -> Tensor:
    """Return the products (N, N) of centred points, 1 on average on the diagonal."""
    centred = points.double() - points.double().mean(0)
    return torch.mm(centred, centred.T) / mean_square(points)
