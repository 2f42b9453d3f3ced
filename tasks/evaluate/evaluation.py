"""What one evaluation finds, before it is written or drawn."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bio_xlstm.tasks.evaluate.metric import Metric


@dataclass(frozen=True)
class Sample:
    """Hold a property of generated and of real sequences, to be drawn as histograms."""

    words: str
    generated: np.ndarray
    reference: np.ndarray | None
    whole: bool = False  # only whole numbers


@dataclass(frozen=True)
class Evaluation:
    """Hold the numbers, the samples behind them, and a row for every generated record."""

    kind: str
    metrics: list[Metric]
    samples: list[Sample]
    rows: dict[str, list[Any]]
    """columns of the table of records; None is an empty cell"""
    shares: dict[str, list[float]] = field(default_factory=dict)
    """letters, with their share among generated and, if given, real sequences"""
    drawn: list[tuple[str, str]] = field(default_factory=list)
    """SMILES and legends of some generated molecules"""
