"""What letters have in common as replacements of others, and what replacing one by another usually does.

For proteins, likeness is that of BLOSUM62 (Henikoff and Henikoff 1992, doi:10.1073/pnas.89.22.10915): letters that
score alike lie near each other. Typical effects are means over deep mutational scans (`benchmarks/typical_effects.py`),
in units of a scan's deviation and around its mean. Of other letters nothing is known but whether they are the same.
"""

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# A to Z, and one for all else
CODES = 27
_RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
# squared distance of letters, in half bits, at which their likeness is 1/e
_DISTANCE = 24.0


class Substitutions(NamedTuple):
    """Hold what is known of replacing letters (CODES)."""

    alike: Tensor  # (CODES, CODES) float64, positive definite, 1 for a letter and itself
    root: Tensor  # (CODES, R) float64, whose rows have these products
    harm: Tensor  # (CODES, CODES) float64, how much worse than the mildest it is to put the second for the first


def codes_of(letters: Tensor) -> Tensor:
    """Number letters given as bytes of ASCII, of either case: int64, 0 to CODES - 1."""
    number = (letters.long() & ~32) - ord("A")
    known = (number >= 0) & (number < CODES - 1) & (letters >= ord("A"))
    return torch.where(known, number, CODES - 1)


@cache
def substitutions(kind: str) -> Substitutions:
    """Return what is known for a kind of sequence."""
    alike, harm = np.eye(CODES), np.zeros((CODES, CODES))
    if kind == "protein":
        place = np.array([ord(letter) - ord("A") for letter in _RESIDUES])
        alike[np.ix_(place, place)] = _likeness()
        harm[np.ix_(place, place)] = _harm()
    root = _root(alike)
    return Substitutions(*(torch.from_numpy(part) for part in (root @ root.T, root, harm)))


def _likeness() -> np.ndarray:
    """Return how alike residues are (20, 20)."""
    from Bio.Align.substitution_matrices import load

    matrix = load("BLOSUM62")
    scores = np.array([[matrix[one][other] for other in _RESIDUES] for one in _RESIDUES])
    own = np.diag(scores)
    found: np.ndarray = np.exp(-(own[:, None] + own - 2 * scores) / _DISTANCE)
    return found


def _harm() -> np.ndarray:
    """Return how much worse than the mildest replacement each is (20, 20)."""
    found = np.zeros((len(_RESIDUES),) * 2)
    text = files(__package__).joinpath("typical_effects.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        found[_RESIDUES.index(row["wild"]), _RESIDUES.index(row["mutant"])] = float(row["effect"])
    return found.max() - found


def _root(matrix: np.ndarray) -> np.ndarray:
    """Return R with R Rᵀ next to a symmetric matrix, all of whose diagonal is 1."""
    values, vectors = np.linalg.eigh(matrix)
    some = values > 1e-9
    root = vectors[:, some] * np.sqrt(values[some])
    found: np.ndarray = root / np.linalg.norm(root, axis=1, keepdims=True)
    return found
