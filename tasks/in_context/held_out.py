"""How good a learner is on assays that it was not trained on: the FS-Mol protocol in short, for looks in between."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from bio_xlstm.in_context.described import Described
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.tasks.in_context.assays import Assay, pick

SIZES = (16, 64)
_SEEDS, _FULL_SEEDS = 3, 10
_FEWEST_QUERIES = 8


class Division(NamedTuple):
    """Hold which molecules of an assay are its support, and which are asked about."""

    support: np.ndarray  # (N,)
    queries: np.ndarray  # (Q,)


def stratified(classes: np.ndarray, size: int, seed: int) -> Division | None:
    """Divide an assay's molecules (M,) with like shares of positives in both parts; None where that cannot be."""
    draw = np.random.default_rng((seed, size, len(classes)))
    order = draw.permutation(len(classes))
    positive = min(max(round(size * classes.mean()), 1), size - 1)
    ones, zeros = order[classes[order] == 1], order[classes[order] == 0]
    if len(ones) <= positive or len(zeros) <= size - positive or len(classes) - size < _FEWEST_QUERIES:
        return None
    support = np.concatenate([ones[:positive], zeros[: size - positive]])
    return Division(support, np.concatenate([ones[positive:], zeros[size - positive :]]))


class HeldOut:
    """Measure a learner on validation assays; `first` is the row of their first molecule among all described."""

    names = tuple(f"delta_auc_pr_{size}" for size in SIZES)

    def __init__(self, assays: Sequence[Assay], first: int) -> None:
        self.assays = [assay._replace(molecules=assay.molecules + first) for assay in assays]

    @torch.no_grad()
    def measure(self, model: InContextModel, described: Described, *, full: bool = False) -> dict[str, float]:
        """Return the mean over assays of average precision minus the share of positives, per size of support."""
        points = [model(pick(described, assay.molecules)) for assay in self.assays]
        seeds = _FULL_SEEDS if full else _SEEDS
        found = {}
        for name, size in zip(self.names, SIZES, strict=True):
            each = [
                list(_gains(model, assay, own, size, seeds))
                for assay, own in zip(self.assays, points, strict=True)
            ]
            means = [float(np.mean(gains)) for gains in each if gains]
            found[name] = float(np.mean(means)) if means else float("nan")
        return found


def _gains(
    model: InContextModel, assay: Assay, points: torch.Tensor, size: int, seeds: int
) -> Iterator[float]:
    """Yield the gain of every seed."""
    from sklearn.metrics import average_precision_score

    for seed in range(seeds):
        division = stratified(assay.classes, size, seed)
        if division is None:
            return
        labels = Labels.of_classes(torch.from_numpy(assay.classes[division.support])[None])
        state = model.read_support(points[division.support][None], labels)
        scores = model.answer(points[division.queries][None], state).value[0].numpy()
        truth = assay.classes[division.queries]
        yield float(average_precision_score(truth, scores)) - float(truth.mean())
