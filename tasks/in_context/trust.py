"""How far the answers of a support can be trusted, learned from what it says of its own examples without them."""

from dataclasses import dataclass
from itertools import count
from numbers import Real
from typing import Any

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.assay.calibration import Conformal
from bio_xlstm.tasks.in_context.left_out import LeftOut
from bio_xlstm.tasks.in_context.support import Support

# examples of both classes together without which a temperature would be noise
FEWEST = 16
# how far from 1 a temperature may be expected to lie: the deviation of its logarithm before anything was seen
_EXPECTED = 0.5


def choose_temperature(support: Support, left_out: LeftOut) -> float:
    """Return what log-odds are divided by, so that those left out come true; 1 where there are too few examples.

    The log loss of the examples is weighed against a log-normal expectation around 1, so that a few examples which all
    come true do not make every probability 0 or 1.
    """
    from scipy.optimize import minimize_scalar

    if support.numeric or len(support) < FEWEST or len(np.unique(support.values)) < 2:
        return 1.0
    signed = np.where(support.values == 1, left_out.values, -left_out.values)

    def loss(power: float) -> float:
        missed = float(np.logaddexp(0, -signed * np.exp(-power)).sum())
        return missed + 0.5 * (power / _EXPECTED) ** 2

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def residuals(support: Support, left_out: LeftOut) -> np.ndarray:
    """Return how far answers missed (N,), in units of what their leverage lets expect; NaN for bounds and classes."""
    if not support.numeric:
        return np.full(len(support), np.nan)
    missed = np.abs(support.values - left_out.values) / reach(left_out.leverages)
    return np.where(support.exact, missed, np.nan)


def reach(leverages: np.ndarray) -> np.ndarray:
    """Return how much the errors of queries grow with their distance from the support: sqrt(1 + leverage)."""
    found: np.ndarray = np.sqrt(1 + leverages)
    return found


@dataclass(frozen=True)
class Intervals:
    """Make intervals of answers; without enough examples for the coverage there are none."""

    radius: float
    """in units of `reach`; NaN where no interval can be promised"""

    @classmethod
    def of(cls, missed: np.ndarray, coverage: float) -> "Intervals":
        """Take residuals (N,) as `residuals` gives them; ConfigError where the coverage makes no sense."""
        check_coverage(coverage)
        fitted = Conformal.fit(missed[:, None], np.zeros((len(missed), 1)), coverage=coverage)
        radius = float(fitted.radii[0])
        return cls(radius if np.isfinite(radius) else float("nan"))

    def __call__(self, values: np.ndarray, leverages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends (M,) each, NaN where there is no interval."""
        half = self.radius * reach(leverages)
        return values - half, values + half


def check_coverage(coverage: Any, name: str = "--coverage") -> None:
    """Refuse a coverage that is none, as `finetune` does; `name` is what the user calls it."""
    if not isinstance(coverage, Real) or not 0.5 <= float(coverage) < 1:
        raise ConfigError(f"{name} must be at least 0.5 and below 1, not {coverage}")


def fewest_for(coverage: float) -> int:
    """Return how many measured examples an interval of this coverage needs."""
    return next(rows for rows in count(1) if np.ceil((rows + 1) * coverage) <= rows)
