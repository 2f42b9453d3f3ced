"""Properties by which molecules are compared beside what they consist of: size, polarity, shape and charge.

Relatives differ little in substructures and steadily in such numbers: activity often rises or falls along them. All are
RDKit's: logP is that of Wildman and Crippen (1999, doi:10.1021/ci990307l), the polar surface that of Ertl et al. (2000,
doi:10.1021/jm000942e), donors and acceptors of hydrogen bonds are Lipinski's counts.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rdkit.Chem import Mol

# what RDKit calls them, and how far they usually are from their mean among molecules that were tested for anything:
# deviations in the training assays of FS-Mol, which benchmarks/fewshot_prints.py prints
SPREADS = {
    "amw": 105.0,
    "CrippenClogP": 1.6,
    "tpsa": 37.0,
    "lipinskiHBD": 1.6,
    "lipinskiHBA": 2.5,
    "NumAromaticRings": 1.1,
    "NumAliphaticRings": 1.0,
    "FractionCSP3": 0.19,
    "NumHeteroatoms": 2.8,
}
# formal charge, an RDKit function of its own, is the last
_CHARGE = 0.12
PROPERTIES = len(SPREADS) + 1
# spreads from 0, at most; half precision holds that to one part in a thousand
_FARTHEST = 1000.0


def properties(molecules: Sequence["Mol"]) -> np.ndarray:
    """Return the properties of N molecules in units of their spreads: (N, PROPERTIES) float16."""
    from rdkit.Chem import GetFormalCharge

    compute, spreads = _computer(), np.array([*SPREADS.values(), _CHARGE])
    rows = [(*compute.ComputeProperties(molecule), GetFormalCharge(molecule)) for molecule in molecules]
    found = np.array(rows, np.float64).reshape(len(rows), PROPERTIES) / spreads
    return np.nan_to_num(found.clip(-_FARTHEST, _FARTHEST)).astype(np.float16)


@cache
def _computer() -> Any:
    from rdkit.Chem.rdMolDescriptors import Properties

    return Properties(list(SPREADS))
