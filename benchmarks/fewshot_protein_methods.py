"""Predict effects of variants from a support: our learner, and what it is compared with."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.learner import Learner
from bio_xlstm.in_context.sequence_points import SequencePoints
from bio_xlstm.in_context.substitutions import codes_of, substitutions
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.in_context.answering import Assay
from bio_xlstm.tasks.in_context.build import read_assay_points
from bio_xlstm.tasks.in_context.repeats import Example
from bio_xlstm.tasks.in_context.support import make_support
from bio_xlstm.variants.mutations import parse_mutations

METHODS = ("in-context", "one-hot", "embedding", "neighbours", "typical", "likelihood")
COVERAGE = 0.9
_PENALTIES = np.logspace(-3, 4, 15)
_LETTERS = "ACDEFGHIKLMNPQRSTVWY"


@dataclass(frozen=True)
class Scan:
    """Hold the N single mutants of one protein with their effects."""

    name: str
    wild: str
    mutants: list[str]
    values: np.ndarray  # (N,)

    @cached_property
    def sequences(self) -> list[str]:
        """Return the mutated sequences."""
        found = []
        for mutant in self.mutants:
            (one,) = parse_mutations(mutant)
            found.append(f"{self.wild[: one.position - 1]}{one.mutant}{self.wild[one.position :]}")
        return found

    @cached_property
    def letters(self) -> np.ndarray:
        """Return the letters (N, L) as numbers."""
        return np.array([[_LETTERS.find(letter) for letter in text] for text in self.sequences], np.int8)

    @cached_property
    def one_hot(self) -> np.ndarray:
        """Return which letter stands where (N, 20 L) float32, columns that are the same everywhere left out."""
        found = (self.letters[..., None] == np.arange(len(_LETTERS))).reshape(len(self.letters), -1)
        different = found[:, found.any(0) & ~found.all(0)]
        return different.astype(np.float32)


def predicted(
    learner: Learner, scan: Scan, points: Tensor, zero_shot: np.ndarray, support: np.ndarray, rest: np.ndarray
) -> dict[str, np.ndarray]:
    """Predict the effects of the rest (M,) from a support, by every method."""
    values = scan.values[support]
    embeddings = SequencePoints.of(points, learner.language_model.config.dim).embeddings.numpy()
    state = learner.read_support(points[support][None], Labels.of_numbers(torch.from_numpy(values)[None]))
    return {
        "in-context": learner.answer(points[rest][None], state).value[0].numpy(),
        "one-hot": ridge(scan.one_hot[support], values, scan.one_hot[rest]),
        "embedding": ridge(*_standardised(embeddings, support, rest, values)),
        "neighbours": neighbours(scan.letters[support], values, scan.letters[rest]),
        "typical": typical(scan)[rest],
        "likelihood": zero_shot[rest],
    }


def ridge(known: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predict by ridge regression with the penalty of the best leave-one-out error."""
    from sklearn.linear_model import RidgeCV

    found: np.ndarray = RidgeCV(_PENALTIES).fit(known, values).predict(asked)
    return found


def neighbours(known: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predict the mean value of the examples that differ from a query in the fewest letters."""
    distances = (asked[:, None] != known[None]).sum(-1)  # (M, N)
    nearest = distances == distances.min(1, keepdims=True)
    found: np.ndarray = (nearest * values).sum(1) / nearest.sum(1)
    return found


def typical(scan: Scan) -> np.ndarray:
    """Predict what such a replacement usually does (N,), without any support."""
    codes = codes_of(
        torch.tensor([list(text.encode()) for text in (scan.wild, *scan.sequences)], dtype=torch.uint8)
    )
    harm = substitutions("protein").harm[codes[0], codes[1:]]
    found: np.ndarray = -(harm * (codes[1:] != codes[0])).sum(1).numpy()
    return found


def covered(learner: Learner, scan: Scan, points: Tensor, support: np.ndarray, rest: np.ndarray) -> float:
    """Return the share of the rest whose effect lies inside our 90 % intervals."""
    place = {scan.sequences[row]: row for row in support.tolist()}
    examples = [
        Example(text, text, scan.mutants[row], row, float(scan.values[row]), 0) for text, row in place.items()
    ]
    task = Task("regression", ("effect",))
    made = make_support(examples, task, issues=[], notes=[], source=scan.name, kind=learner.kind)
    rows = np.array([place[text] for text in made.sequences])
    assay = Assay(learner, read_assay_points(learner, points[rows], made))
    found = assay.answer(points[rest], spread=False)
    low, high = assay.intervals(COVERAGE)(found.predicted, found.leverage)
    return float(((low <= scan.values[rest]) & (scan.values[rest] <= high)).mean())


def _standardised(
    numbers: np.ndarray, support: np.ndarray, rest: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return examples, values and queries on one scale: that of the examples."""
    middle, spread = numbers[support].mean(0), numbers[support].std(0) + 1e-9
    return (numbers[support] - middle) / spread, values, (numbers[rest] - middle) / spread
