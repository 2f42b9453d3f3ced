"""The scale of one axis: from numbers to a place between 0 and 1, with round ticks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Scale:
    """Hold the ends of an axis and where its ticks are."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a number lies: 0 is the low end, 1 the high one; what is beyond lies at the end."""
        low, high, value = (self._bent(one) for one in (self.low, self.high, max(value, self.low)))
        return min(max((value - low) / (high - low), 0.0), 1.0)

    def labels(self) -> list[str]:
        """Write the ticks."""
        return [f"{tick:,.6g}" if abs(tick) < 1e6 else f"{tick:.3g}" for tick in self.ticks]

    def _bent(self, value: float) -> float:
        return math.log(value) if self.logarithmic else value


def linear(values: Iterable[float], *, room: float = 0.04, ticks: int = 6) -> Scale:
    """Make a scale that holds all finite values, and some room beside them."""
    low, high = _ends(values)
    room = room * (high - low)
    low, high = low - room, high + room
    step = _round_step((high - low) / ticks)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # + 0.0: no tick is called -0
    return Scale(low, high, tuple(float(f"{number * step:.12g}") + 0.0 for number in range(first, last + 1)))


def counts(most: float) -> Scale:
    """Make a scale of counts, from nothing to a little more than the most."""
    return linear([0, 1.05 * max(most, 1)], room=0)


def shares(ticks: Sequence[float] = (0, 0.2, 0.4, 0.6, 0.8, 1)) -> Scale:
    """Make the scale of probabilities."""
    return Scale(0.0, 1.0, tuple(ticks))


def logarithmic(values: Sequence[float]) -> Scale:
    """Make a scale of positive numbers whose ticks are the numbers."""
    low, high = min(values), max(values)
    return Scale(low / 1.15, high * 1.15, tuple(sorted(set(values))), True)


def edges(values: np.ndarray, most: int = 40) -> np.ndarray:
    """Return round edges of bins for a histogram of finite values; whole numbers are never cut."""
    low, high = _ends(values.tolist())
    wanted = min(most, max(10, round(3 * len(values) ** (1 / 3))))
    step = _round_step((high - low) / wanted)
    if (values == np.round(values)).all():
        step = max(1.0, float(round(step)))
    first = math.floor(low / step)
    count = max(1, math.floor(high / step) - first + 1)
    return (first + np.arange(count + 1)) * step


def _ends(values: Iterable[float]) -> tuple[float, float]:
    """Return the least and the largest finite value, never the same one twice."""
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        beside = 0.5 * max(abs(low), 1.0)
        return low - beside, high + beside
    return low, high


def _round_step(rough: float) -> float:
    """Return the least round number that is as large as `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))
