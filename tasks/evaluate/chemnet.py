"""Fréchet ChemNet Distance (doi:10.1021/acs.jcim.8b00234): how near two sets of molecules are to a network's eye."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# ChemNet reads SMILES of up to this many characters and an end
LONGEST_FOR_FCD = 349
# numbers that it makes of a molecule
WIDTH = 512
MISSING_FCD = (
    "FCD is not measured: the package fcd is not installed (pip install 'bio-xlstm[chem-eval]', or fcd alone)"
)


class Activations(NamedTuple):
    """Hold mean and covariance of what ChemNet makes of a set of molecules."""

    mean: np.ndarray  # (512,)
    covariance: np.ndarray  # (512, 512)
    size: int

    @classmethod
    def of(cls, values: np.ndarray) -> "Activations":
        """Summarise rows (N, 512), N at least 2."""
        return cls(values.mean(0), np.cov(values.T), len(values))


def has_chemnet() -> bool:
    """Tell whether FCD can be measured."""
    from importlib.util import find_spec

    return find_spec("fcd") is not None


def readable(smiles: str) -> bool:
    """Tell whether ChemNet reads a SMILES whole."""
    return len(smiles) <= LONGEST_FOR_FCD


def run_chemnet(smiles: Sequence[str], device: str = "cpu") -> np.ndarray:
    """Run ChemNet over readable canonical SMILES (N, 512); ImportError where the package fcd is missing."""
    from fcd import get_predictions, load_ref_model

    values = get_predictions(load_ref_model(), list(smiles), n_jobs=0, device=device)
    return np.asarray(values, np.float64)


def chemnet(smiles: Sequence[str], device: str = "cpu") -> Activations:
    """Summarise what ChemNet makes of canonical SMILES; those too long for it are left out."""
    return Activations.of(run_chemnet([one for one in smiles if readable(one)], device))


def frechet_distance(one: Activations, other: Activations) -> float:
    """Return the squared Fréchet distance of two normal distributions: FCD where they are ChemNet's.

    tr sqrt(A B) is that of the symmetric sqrt(A) B sqrt(A), whose eigenvalues are not negative.
    """
    values, vectors = np.linalg.eigh(one.covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ other.covariance @ root).clip(min=0)
    apart = one.mean - other.mean
    traces = np.trace(one.covariance) + np.trace(other.covariance)
    return float(apart @ apart + traces - 2 * np.sqrt(mixed).sum())
