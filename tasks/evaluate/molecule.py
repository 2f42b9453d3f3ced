"""A molecule as sets of molecules know it: its canonical SMILES, and what makes two the same."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from bio_xlstm.records.chemistry import parsed


class Molecule(NamedTuple):
    """Hold what RDKit makes of a SMILES."""

    canonical: str
    flat: str  # canonical, without stereo marks and isotopes
    scaffold: str  # Murcko scaffold of the flat molecule, "" without rings


def read_molecule(smiles: str) -> Molecule | None:
    """Read a SMILES; None for what is no molecule, an empty one among it."""
    from rdkit import Chem

    found = parsed(smiles)
    if found is None or not found.GetNumAtoms():
        return None
    return Molecule(Chem.MolToSmiles(found), flat_form(found), murcko_scaffold(found))


def read_molecules(smiles: Iterable[str]) -> list[Molecule | None]:
    """Read many SMILES in silence."""
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        return [read_molecule(one) for one in smiles]


def flat_form(molecule: Any) -> str:
    """Write a molecule of RDKit canonically, without stereo marks and isotopes."""
    from rdkit import Chem

    return str(Chem.MolToSmiles(molecule, isomericSmiles=False))


def flat_forms(smiles: Iterable[str]) -> set[str]:
    """Return the canonical forms without stereo marks of all that RDKit can read."""
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        return {flat_form(found) for one in smiles if (found := parsed(one)) is not None}


def murcko_scaffold(molecule: Any) -> str:
    """Return the Bemis-Murcko scaffold (doi:10.1021/jm9602928) without stereo marks, "" without rings."""
    from rdkit.Chem.Scaffolds import MurckoScaffold

    # a chain of thousands of atoms would be taken apart for minutes
    if not molecule.GetRingInfo().NumRings():
        return ""
    return flat_form(MurckoScaffold.GetScaffoldForMol(molecule))
