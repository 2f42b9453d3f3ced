"""What makes two molecules the same, or alike, to a split; RDKit is imported at the first molecule."""

from functools import lru_cache
from typing import NamedTuple

from bio_xlstm.records.chemistry import parsed
from bio_xlstm.tasks.pretrain.luck import digest


class MoleculeKeys(NamedTuple):
    """Hold hashes of a molecule and of its scaffold."""

    molecule: int
    scaffold: int


NOTHING = MoleculeKeys(0, 0)
"""of a text that is no molecule"""


# the same molecules come back in many assays
@lru_cache(maxsize=1 << 17)
def molecule_keys(smiles: str, seed: int) -> MoleculeKeys:
    """Hash a molecule without its stereo marks, and its scaffold; NOTHING where RDKit cannot read it."""
    from rdkit import Chem

    molecule = _read(smiles)
    if molecule is None:
        return NOTHING
    written = Chem.MolToSmiles(molecule, isomericSmiles=False)
    scaffold = _scaffold(molecule) or written
    return MoleculeKeys(digest(written.encode(), seed), digest(scaffold.encode(), seed))


def scaffold_key(smiles: str) -> str:
    """Return the Murcko scaffold without stereo marks; a molecule without rings is its own; "" if unreadable."""
    from rdkit import Chem

    molecule = _read(smiles)
    if molecule is None:
        return ""
    return _scaffold(molecule) or Chem.MolToSmiles(molecule, isomericSmiles=False)


def _scaffold(molecule: object) -> str:
    """Return the Murcko scaffold of a molecule, "" where it has no ring."""
    from rdkit import Chem
    from rdkit.Chem.Scaffolds import MurckoScaffold

    scaffold = MurckoScaffold.GetScaffoldForMol(molecule)
    return Chem.MolToSmiles(scaffold, isomericSmiles=False) if scaffold.GetNumAtoms() else ""


def _read(smiles: str) -> object | None:
    """Read a molecule in silence."""
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    found: object | None = parsed(smiles)
    return found
