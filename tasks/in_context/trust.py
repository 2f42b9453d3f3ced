"""How far the answers of a support can be trusted, learned from what it says of its own examples without them."""

from dataclasses import dataclass
from itertools import count
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.assay.calibration import Conformal
from bio_xlstm.tasks.in_context.left_out import LeftOut
from bio_xlstm.tasks.in_context.support import Support

# examples of both classes together without which a calibration would be noise
FEWEST = 16
# what is expected before anything was seen: deviations of a temperature's logarithm from 0, and of an offset from 0
_EXPECTED = np.array([0.5, 1.0])


class Calibration(NamedTuple):
    """Turn log-odds into those that come true (Platt 1999): divide, and add."""

    temperature: float
    offset: float

    @classmethod
    def fit(cls, support: Support, left_out: LeftOut) -> Self:
        """Choose both so that answers for those left out come true; nothing changes where there are too few examples.

        The log loss of the examples is weighed against what is expected, so that a few examples which all come true do
        not make every probability 0 or 1.
        """
        from scipy.optimize import minimize

        if support.numeric or len(support) < FEWEST or len(np.unique(support.values)) < 2:
            return cls(1.0, 0.0)
        sign = np.where(support.values == 1, 1.0, -1.0)

        def loss(tried: np.ndarray) -> float:
            odds = left_out.values * np.exp(-tried[0]) + tried[1]
            return float(np.logaddexp(0, -sign * odds).sum() + 0.5 * np.square(tried / _EXPECTED).sum())

        power, offset = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-3, 3), (-9, 9)]).x
        return cls(float(np.exp(power)), float(offset))

    def __call__(self, log_odds: np.ndarray) -> np.ndarray:
        """Return probabilities."""
        from scipy.special import expit

        found: np.ndarray = expit(log_odds / self.temperature + self.offset)
        return found


# probabilities as log-odds say them
PLAIN = Calibration(1.0, 0.0)


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
        nothing = np.zeros((len(missed), 1))
        fitted = Conformal.fit(missed[:, None], nothing, coverage=coverage, interpolated=True)
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
