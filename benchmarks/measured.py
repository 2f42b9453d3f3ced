"""Keep what was measured of a model: on which weights, with which options, on which machine."""

import argparse
import datetime
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from report import describe_machine, keep

from bio_xlstm.models.model import SequenceModel

# digits of a weight hash that are kept
HASH = 16
Interval = tuple[float, float]


class Measured:
    """Collect the results of one benchmark of one model, and write them where a file is given.

    A file belongs to the project's documents: it holds no path of the machine.
    """

    def __init__(
        self, benchmark: str, model: SequenceModel | None, options: argparse.Namespace, name: str = "none"
    ) -> None:
        self.begin = time.perf_counter()
        self.file: Path | None = options.json
        self.content: dict[str, Any] = {
            "benchmark": benchmark,
            "model": model.name if model else name,
            "weights": model.weight_hash()[:HASH] if model else "",
            "parameters": model.parameter_count if model else 0,
            "date": datetime.date.today().isoformat(),
            "machine": describe_machine(str(options.device).split(":")[0]),
            "options": plain_options(options),
        }
        # a file that cannot be written is noticed now
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)

    def keep(self, **results: Any) -> None:
        """Add results and write everything so far."""
        self.content |= {**results, "seconds": self.elapsed()}
        keep(self.file, self.content)

    def elapsed(self) -> float:
        """Return the seconds since the beginning."""
        return round(time.perf_counter() - self.begin, 1)


def plain_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that decide a result: numbers, words and flags, but no paths and no models."""
    kept = (bool, int, float, str)
    return {
        name: value
        for name, value in vars(options).items()
        if isinstance(value, kept) and not (isinstance(value, str) and "/" in value) and name != "model"
    }


def mean_interval(values: np.ndarray, seed: int = 0, times: int = 2000) -> Interval:
    """Return the 95 % interval of the mean of values (N,), by drawing them anew with replacement."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float("nan"), float("nan")
    chosen = np.random.default_rng(seed).integers(len(values), size=(times, len(values)))
    low, high = np.quantile(values[chosen].mean(1), (0.025, 0.975))
    return float(low), float(high)


def with_interval(values: np.ndarray, sign: str = "") -> str:
    """Write the mean of values (N,) and its 95 % interval; `sign` "+" for differences."""
    mean, low, high = (f"{one:{sign}.3f}" for one in (values.mean(), *mean_interval(values)))
    return f"{mean} ({low} to {high})"


def table(columns: Mapping[str, list[str]]) -> str:
    """Write columns of cells as a Markdown table."""
    rows = zip(*columns.values(), strict=True)
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)
