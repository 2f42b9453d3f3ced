"""Predictions that mean what they say: intervals that cover, probabilities that come true."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from bio_xlstm.errors import ConfigError

# an uncertainty of nothing would ask for an infinite radius
LEAST = 1e-6


@dataclass(frozen=True)
class Conformal:
    """Turn predictions (N, T) into intervals that hold the value with a chosen probability (split conformal).

    `radii` (T,) are in the unit of the target, or of the uncertainty where one is given
    (doi:10.1080/01621459.2017.1307116). With n calibration rows the radius is the ceil((n + 1) coverage)-th smallest
    residual: infinite where n is too small to promise the coverage. Of few rows such intervals hold more than asked
    for. Interpolated between the two residuals on both sides of (n + 1) coverage, they hold as much, to O(1/n^2) of a
    smooth distribution (Beran and Hall 1993, J. R. Stat. Soc. B 55:643), but do not promise it of any.
    """

    coverage: float
    radii: np.ndarray
    normalised: bool

    @classmethod
    def fit(
        cls,
        values: np.ndarray,
        predicted: np.ndarray,
        uncertainty: np.ndarray | None = None,
        *,
        coverage: float = 0.9,
        interpolated: bool = False,
    ) -> Self:
        """Learn from held-out values (N, T), NaN where missing, that the model was not trained on."""
        if not 0 < coverage < 1:
            raise ConfigError(f"the coverage of intervals lies between 0 and 1, not at {coverage:g}")
        residuals = np.abs(values - predicted)
        if uncertainty is not None:
            residuals = residuals / np.maximum(uncertainty, LEAST)
        radii = [
            _quantile(column[~np.isnan(column)], coverage, interpolated=interpolated)
            for column in residuals.T
        ]
        return cls(coverage, np.array(radii), uncertainty is not None)

    def intervals(
        self, predicted: np.ndarray, uncertainty: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper ends, (N, T) each."""
        if self.normalised != (uncertainty is not None):
            raise ValueError("an uncertainty is needed exactly where one was given to fit")
        reach = self.radii if uncertainty is None else self.radii * np.maximum(uncertainty, LEAST)
        return predicted - reach, predicted + reach

    def to_record(self) -> dict[str, Any]:
        """Describe this calibration as plain data for a JSON file; an infinite radius is None."""
        radii = [float(radius) if np.isfinite(radius) else None for radius in self.radii]
        return {"coverage": self.coverage, "radii": radii, "normalised": self.normalised}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` wrote."""
        radii = np.array([np.inf if radius is None else radius for radius in record["radii"]], float)
        return cls(record["coverage"], radii, record["normalised"])


def measured_coverage(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the share of the values (N, T) that lie in their interval, (T,); NaN without values."""
    known = ~np.isnan(values)
    inside = ((values >= low) & (values <= high) & known).sum(0)
    return np.where(known.sum(0) > 0, inside / np.maximum(known.sum(0), 1), np.nan)


@dataclass(frozen=True)
class Temperature:
    """Divide logits by one number, so that probabilities come true (doi:10.48550/arXiv.1706.04599).

    Logits are (N, C) of classes, or (N, T) of the second of two classes for binary and multilabel.
    """

    temperature: float
    name: ClassVar[str] = "temperature"

    @classmethod
    def fit(cls, logits: np.ndarray, values: np.ndarray, *, classes: bool) -> Self:
        """Learn from held-out values: (N, 1) numbers of classes where `classes`, else 0 and 1 (N, T), NaN missing."""
        from scipy.optimize import minimize_scalar

        known = ~np.isnan(values)
        if not known.any():
            return cls(1.0)

        def loss(power: float) -> float:
            scaled = logits * np.exp(-power)
            if classes:
                rows = np.flatnonzero(known[:, 0])
                return float(-np.mean(_log_softmax(scaled)[rows, values[rows, 0].astype(int)]))
            signed = np.where(values == 1, scaled, -scaled)[known]
            return float(np.mean(np.logaddexp(0, -signed)))

        found = minimize_scalar(loss, bounds=(-4, 4), method="bounded")
        return cls(float(np.exp(found.x)))

    def probabilities(self, logits: np.ndarray, *, classes: bool) -> np.ndarray:
        """Return probabilities of the shape of the logits."""
        scaled = logits / self.temperature
        return np.exp(_log_softmax(scaled)) if classes else np.exp(-np.logaddexp(0, -scaled))

    def to_record(self) -> dict[str, Any]:
        """Describe this calibration as plain data."""
        return {"method": self.name, "temperature": self.temperature}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` wrote."""
        return cls(record["temperature"])


@dataclass(frozen=True)
class Isotonic:
    """Map probabilities by a rising staircase, one per column; of several classes, the rows are scaled to sum to 1."""

    points: list[tuple[list[float], list[float]]]
    """per column, probabilities before and after, rising; empty where there was nothing to learn from"""
    classes: bool
    name: ClassVar[str] = "isotonic"

    @classmethod
    def fit(cls, chances: np.ndarray, values: np.ndarray, *, classes: bool) -> Self:
        """Learn from held-out probabilities (N, C or T) and values, as `Temperature.fit`."""
        if classes:
            values = np.where(np.isnan(values), np.nan, values == np.arange(chances.shape[1]))
        return cls(
            [_staircase(chances[:, place], values[:, place]) for place in range(chances.shape[1])], classes
        )

    def probabilities(self, chances: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities."""
        found = np.stack(
            [
                np.interp(column, before, after) if before else column
                for column, (before, after) in zip(chances.T, self.points, strict=True)
            ],
            1,
        )
        if not self.classes:
            return found
        total = found.sum(1, keepdims=True)
        return np.where(total > 0, found / np.where(total > 0, total, 1), chances)

    def to_record(self) -> dict[str, Any]:
        """Describe this calibration as plain data."""
        return {"method": self.name, "points": [list(pair) for pair in self.points], "classes": self.classes}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` wrote."""
        return cls([(list(before), list(after)) for before, after in record["points"]], record["classes"])


def _quantile(residuals: np.ndarray, coverage: float, *, interpolated: bool) -> float:
    place = (len(residuals) + 1) * coverage
    rank = int(np.ceil(place))
    if rank > len(residuals):
        return float("inf")
    below, above = np.partition(residuals, [max(rank - 2, 0), rank - 1])[[max(rank - 2, 0), rank - 1]]
    if not interpolated or not np.isfinite(above):
        return float(above)
    return float(above - (rank - place) * (above - below))


def _staircase(chances: np.ndarray, values: np.ndarray) -> tuple[list[float], list[float]]:
    from sklearn.isotonic import IsotonicRegression

    known = ~np.isnan(values)
    if len(np.unique(values[known])) < 2:
        return [], []
    # Laplace's rule: a probability of 0 or 1 is not learned from few rows
    truth, count = values[known], len(values[known])
    model = IsotonicRegression(y_min=1 / (count + 2), y_max=1 - 1 / (count + 2)).fit(chances[known], truth)
    return model.X_thresholds_.tolist(), model.y_thresholds_.tolist()


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return found
