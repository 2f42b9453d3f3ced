"""What molecules are compared by as they are: a print, four counted fingerprints and some properties.

Extended-connectivity fingerprints of radius 2 (Rogers and Hahn 2010, doi:10.1021/ci100050t) know what surrounds every
atom, by elements and by roles (donor, acceptor, aromatic, halogen, basic, acidic: Gobbi and Poppinger 1998); atom pairs
(Carhart et al. 1985, doi:10.1021/ci00046a002) know how far apart any two are, topological torsions (Nilakantan et al.
1987, doi:10.1021/ci00054a008) what stands in line. All as bits that stand for "at least 1, 2, 4, 8 of this", so that
counts are compared too. Which of them, and with which weight, was chosen on training assays.
"""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bio_xlstm.in_context.properties import PROPERTIES, properties

if TYPE_CHECKING:
    from rdkit.Chem import Mol

RADIUS = 2
# fingerprints that a print holds, one behind the other
PARTS = 4
# atoms above which a print has no atom pairs: all distances take a time that grows with the cube of the atoms
_PAIRED = 500
# bytes of the properties behind them, in half precision
BYTES = 2 * PROPERTIES


def width(bits: int) -> int:
    """Return the bytes of a print whose fingerprints have so many bits."""
    return PARTS * bits // 8 + BYTES


def prints(molecules: Sequence["Mol"], bits: int) -> np.ndarray:
    """Return the prints of N molecules: (N, width) uint8."""
    rows = [b"".join(_fingerprints(molecule, bits)) for molecule in molecules]
    fingerprints = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), PARTS * bits // 8)
    return assemble(fingerprints, properties(molecules))


def _fingerprints(molecule: "Mol", bits: int) -> Iterator[bytes]:
    """Yield the fingerprints of a molecule, packed."""
    from rdkit.DataStructs import BitVectToBinaryText

    for name, generator in _generators(bits).items():
        if name == "pairs" and molecule.GetNumAtoms() > _PAIRED:
            yield bytes(bits // 8)
        else:
            yield BitVectToBinaryText(generator.GetFingerprint(molecule))


def assemble(fingerprints: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Make prints (..., width) uint8 of packed bits (..., PARTS x bits / 8) and properties (..., PROPERTIES)."""
    return np.concatenate([fingerprints, numbers.astype(np.float16).view(np.uint8)], -1)


@cache
def _generators(bits: int) -> dict[str, Any]:
    from rdkit.Chem.rdFingerprintGenerator import (
        GetAtomPairGenerator,
        GetMorganFeatureAtomInvGen,
        GetMorganGenerator,
        GetTopologicalTorsionGenerator,
    )

    counted = partial(GetMorganGenerator, radius=RADIUS, fpSize=bits, countSimulation=True)
    return {
        "elements": counted(),
        "roles": counted(atomInvariantsGenerator=GetMorganFeatureAtomInvGen()),
        "pairs": GetAtomPairGenerator(fpSize=bits, countSimulation=True),
        "torsions": GetTopologicalTorsionGenerator(fpSize=bits, countSimulation=True),
    }
