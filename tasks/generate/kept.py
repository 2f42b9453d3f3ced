"""Whether a molecule has kept a scaffold, stereocentres included, and something was added to it."""

from typing import Any

from bio_xlstm.tasks.generate.scaffolds import attachment_points, opened


class Kept:
    """Hold what a scaffold looks like inside a molecule: bare, and with any atom at each of its attachment points."""

    def __init__(self, scaffold: Any) -> None:
        self._bare = opened(scaffold, None)
        # points that are alike are one
        forms = {
            _name(form): form for form in (opened(scaffold, point) for point in attachment_points(scaffold))
        }
        self._grown = [_pattern(form) for form in forms.values()]

    def refuse(self, molecule: Any) -> str:
        """Say what is wrong with a molecule; "" where it is the scaffold and more."""
        if any(molecule.HasSubstructMatch(grown, useChirality=True) for grown in self._grown):
            return ""
        lost = any(molecule.HasSubstructMatch(grown) for grown in self._grown)
        if lost or not molecule.HasSubstructMatch(self._bare, useChirality=True):
            return "scaffold changed"
        return "nothing added"


def _name(form: Any) -> str:
    from rdkit.Chem import MolToSmiles

    return str(MolToSmiles(form))


def _pattern(form: Any) -> Any:
    """Let the dummy atom be any atom, by any bond."""
    from rdkit import Chem

    edited = Chem.RWMol(form)
    dummy = next(atom for atom in edited.GetAtoms() if not atom.GetAtomicNum())
    bond = dummy.GetBonds()[0].GetIdx()
    edited.ReplaceAtom(dummy.GetIdx(), Chem.AtomFromSmarts("*"))
    edited.ReplaceBond(bond, Chem.BondFromSmarts("~"))
    return edited.GetMol()
