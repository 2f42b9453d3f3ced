"""FCD of generated molecules to real ones, beside what two halves of the real ones reach."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.tasks.device import choose_device
from bio_xlstm.tasks.evaluate.chemnet import (
    LONGEST_FOR_FCD,
    MISSING_FCD,
    WIDTH,
    Activations,
    frechet_distance,
    has_chemnet,
    readable,
    run_chemnet,
)
from bio_xlstm.tasks.evaluate.choice import halves
from bio_xlstm.tasks.evaluate.metric import Metric, measured, missing
from bio_xlstm.tasks.evaluate.molecules import MoleculeSet

# below this many molecules FCD is dominated by their number (doi:10.1021/acs.jcim.8b00234)
ENOUGH = 5000
# a covariance takes two
_LEAST = 2
_ALL = "Fréchet ChemNet Distance between all valid molecules, repeats included, and the reference"
_SAME = (
    "FCD between sets of one size, as FCD falls with size: generated molecules and one half of the reference; "
    "beside it that between the two halves, which is as low as it gets"
)


def fcd(one: MoleculeSet, other: MoleculeSet, seed: int, device: str) -> list[Metric]:
    """Measure FCD with the package fcd, or say why it is missing."""
    if not has_chemnet():
        return [missing("fcd", _ALL, MISSING_FCD), missing("fcd_same_size", _SAME, MISSING_FCD)]
    # where one side is too small the network need not run
    enough = min(len(one), len(other)) >= _LEAST
    place = choose_device(device)
    seen = [activations(of, place) if enough else np.zeros((0, WIDTH)) for of in (one, other)]
    return from_activations(seen[0], seen[1], seed)


def activations(of: MoleculeSet, device: str) -> np.ndarray:
    """Run ChemNet over the different molecules and return a row for every valid one that it reads (V, 512)."""
    rows = np.full(len(of.facts), -1)
    read = [number for number in np.unique(of.index).tolist() if readable(of.facts[number].canonical)]
    rows[read] = np.arange(len(read))
    if not read:
        return np.zeros((0, WIDTH))
    values = run_chemnet([of.facts[number].canonical for number in read], device)
    seen = rows[of.index]
    return values[seen[seen >= 0]]


def from_activations(one: np.ndarray, other: np.ndarray, seed: int) -> list[Metric]:
    """Compare rows (N, 512) with rows (M, 512)."""
    size = min(len(one), len(other) // 2)
    few = f"it needs 2 generated molecules and 4 of the reference of up to {LONGEST_FOR_FCD} characters"
    if min(len(one), len(other)) < _LEAST:
        return [missing("fcd", _ALL, few), missing("fcd_same_size", _SAME, few)]
    hint = f"only {min(len(one), len(other)):,} molecules: compare it with fcd of equal numbers alone"
    total = measured("fcd", _distance([one, other]), _ALL, hint if min(len(one), len(other)) < ENOUGH else "")
    if size < _LEAST:
        return [total, missing("fcd_same_size", _SAME, few)]
    first, second = halves(len(other), seed)
    mine = np.random.default_rng(seed).permutation(len(one))[:size]
    real, real_too = other[first[:size]], other[second[:size]]
    same = measured("fcd_same_size", _distance([one[mine], real]), _SAME, f"sets of {size:,} molecules")
    return [total, same._replace(reference=_distance([real_too, real]))]


def _distance(sets: Sequence[np.ndarray]) -> float:
    return frechet_distance(*(Activations.of(values) for values in sets))
