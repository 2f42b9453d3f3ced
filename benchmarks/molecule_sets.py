"""Measure sets of molecules: what is valid, how different they are, how near two sets are (FCD)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.rdBase import BlockLogs

BITS = 1024
# ChemNet reads SMILES of up to this many characters and an end
LONGEST_FOR_FCD = 349
MISSING_FCD = (
    "FCD is not measured: the package fcd is not installed (pip install 'bio-xlstm[chem-eval]', or fcd alone)"
)


class Molecule(NamedTuple):
    """Hold what RDKit makes of a SMILES."""

    canonical: str
    flat: str  # canonical, without stereo marks and isotopes
    scaffold: str  # Murcko scaffold of the flat molecule, "" without rings


def read_molecule(smiles: str) -> Molecule | None:
    """Read a SMILES; None for what is no molecule, an empty one among it."""
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    flat = Chem.MolToSmiles(molecule, isomericSmiles=False)
    scaffold = Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(molecule), isomericSmiles=False)
    return Molecule(Chem.MolToSmiles(molecule), flat, scaffold)


def read_molecules(smiles: Iterable[str]) -> list[Molecule | None]:
    """Read many SMILES in silence."""
    with BlockLogs():
        return [read_molecule(one) for one in smiles]


def flat_forms(smiles: Iterable[str]) -> set[str]:
    """Return the canonical forms without stereo marks of all that RDKit can read."""
    found = set()
    with BlockLogs():
        for one in smiles:
            molecule = Chem.MolFromSmiles(one)
            if molecule is not None:
                found.add(Chem.MolToSmiles(molecule, isomericSmiles=False))
    return found


def fingerprints(smiles: Iterable[str], bits: int = BITS, *, counts: bool = False) -> np.ndarray:
    """Return Morgan fingerprints of radius 2 of valid SMILES, (N, bits), as bits or as counts."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=bits)
    read = generator.GetCountFingerprintAsNumPy if counts else generator.GetFingerprintAsNumPy
    with BlockLogs():
        rows = [read(Chem.MolFromSmiles(one)) for one in smiles]
    return np.stack(rows) if rows else np.zeros((0, bits), np.uint8)


def internal_diversity(prints: np.ndarray, rows: int = 1000) -> float:
    """Return one minus the mean Tanimoto similarity over all pairs of different rows (N, bits)."""
    count = len(prints)
    if count < 2:
        return float("nan")
    prints = prints.astype(np.float32)
    sizes = prints.sum(1)
    total = 0.0
    for begin in range(0, count, rows):
        part = slice(begin, begin + rows)
        common = prints[part] @ prints.T
        either = sizes[part, None] + sizes[None] - common
        # two molecules without any bit are alike
        total += float(np.divide(common, either, out=np.ones_like(common), where=either > 0).sum(dtype=float))
    return 1 - (total - count) / (count * (count - 1))


class Activations(NamedTuple):
    """Hold mean and covariance of what ChemNet makes of a set of molecules."""

    mean: np.ndarray  # (512,)
    covariance: np.ndarray  # (512, 512)
    size: int

    @classmethod
    def of(cls, values: np.ndarray) -> "Activations":
        """Summarise rows (N, 512)."""
        return cls(values.mean(0), np.cov(values.T), len(values))


def chemnet(smiles: Sequence[str], device: str = "cpu") -> Activations:
    """Run ChemNet over canonical SMILES; ImportError where the package fcd is missing."""
    from fcd import get_predictions, load_ref_model

    readable = [one for one in smiles if len(one) <= LONGEST_FOR_FCD]
    values = get_predictions(load_ref_model(), readable, n_jobs=0, device=device)
    return Activations.of(values.astype(np.float64))


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


def has_chemnet() -> bool:
    """Tell whether FCD can be measured."""
    from importlib.util import find_spec

    return find_spec("fcd") is not None
