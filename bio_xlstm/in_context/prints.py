"""Fingerprints by which molecules are compared as they are: counted substructures, and counted pairs of atoms.

Extended-connectivity fingerprints of radius 2 (Rogers and Hahn 2010, doi:10.1021/ci100050t) know what surrounds every
atom; atom pairs (Carhart et al. 1985, doi:10.1021/ci00046a002) know how far apart any two are. Both as bits that stand
for "at least 1, 2, 4, 8 of this", so that counts are compared too.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rdkit.Chem import Mol

RADIUS = 2
# fingerprints that a print consists of, one behind the other
PARTS = 2


def prints(molecules: Sequence["Mol"], bits: int) -> np.ndarray:
    """Return the prints of N molecules, packed: (N, PARTS x bits / 8) uint8."""
    from rdkit.DataStructs import BitVectToBinaryText

    rows = [
        b"".join(BitVectToBinaryText(one.GetFingerprint(molecule)) for one in _generators(bits))
        for molecule in molecules
    ]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), PARTS * bits // 8)


@cache
def _generators(bits: int) -> tuple[Any, ...]:
    from rdkit.Chem.rdFingerprintGenerator import GetAtomPairGenerator, GetMorganGenerator

    return (
        GetMorganGenerator(radius=RADIUS, fpSize=bits, countSimulation=True),
        GetAtomPairGenerator(fpSize=bits, countSimulation=True),
    )
