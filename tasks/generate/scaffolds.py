"""Spellings of a scaffold that end where something can be attached, so that a model goes on from there."""

import re
from typing import Any

import numpy as np

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.tokenizers.tokenizer import Tokenizer

SPELLINGS = 64
_ATTEMPTS = 20
# a bond to what stands before, an atom, and the numbers of the rings that it closes or opens
_HEAD = re.compile(r"([/\\]?)((?:\[[^\]]*\]|Br|Cl|[A-Za-z])(?:[-=#$:/\\]?(?:%[0-9]{2}|[0-9]))*)")
_MIRRORED = {"/": "\\", "\\": "/", "": ""}


def read_scaffold(smiles: str) -> tuple[Any, list[int]]:
    """Return a molecule of RDKit and the numbers of the atoms where something may be attached.

    These are its dummy atoms `*`, or else all atoms with a hydrogen that can be replaced. ConfigError where it
    cannot be read, has several parts, or nothing can be attached.
    """
    from rdkit import Chem

    from bio_xlstm.records.chemistry import parse_reason

    reason = parse_reason(smiles) if smiles.strip() else "it is empty"
    if reason is not None:
        raise ConfigError(f"--scaffold {smiles!r} is no molecule: {reason}")
    molecule = Chem.MolFromSmiles(smiles)
    parts = len(Chem.GetMolFrags(molecule))
    if parts > 1:
        raise ConfigError(f"--scaffold {smiles} has {parts} parts; give the one that is to be kept")
    if not all(_stands_for_one(atom) for atom in molecule.GetAtoms() if not atom.GetAtomicNum()):
        raise ConfigError(f"--scaffold {smiles}: every * must have one single bond, to an atom that is no *")
    points = attachment_points(molecule)
    if not points:
        raise ConfigError(f"--scaffold {smiles}: no atom has a hydrogen that something could replace")
    return molecule, points


def attachment_points(molecule: Any) -> list[int]:
    """Return the numbers of the dummy atoms of a scaffold, or else of all atoms that could lose a hydrogen."""
    atoms = molecule.GetAtoms()
    return [atom.GetIdx() for atom in atoms if not atom.GetAtomicNum()] or [
        atom.GetIdx() for atom in atoms if atom.GetTotalNumHs() and not atom.GetFormalCharge()
    ]


def opened(molecule: Any, point: int | None) -> Any:
    """Return a scaffold with one dummy atom, where something is attached, and hydrogens for the others; None: without.

    The dummy atom takes the place of the hydrogen among its neighbours, which makes a stereocentre what it is.
    """
    from rdkit import Chem

    chosen = point
    if point is not None and molecule.GetAtomWithIdx(point).GetAtomicNum():
        molecule = Chem.AddHs(molecule, onlyOnAtoms=[point])
        # those that are added come last
        chosen = molecule.GetNumAtoms() - 1
    edited = Chem.RWMol(molecule)
    for number, atom in enumerate(molecule.GetAtoms()):
        if number == chosen or not atom.GetAtomicNum():
            edited.ReplaceAtom(number, Chem.Atom(0 if number == chosen else 1))
    rules: Any = Chem.RemoveHsParameters()
    rules.removeDefiningBondStereo, rules.showWarnings = True, False
    form = Chem.RemoveHs(edited.GetMol(), rules)
    # what is no stereocentre without its dummy atom
    Chem.AssignStereochemistry(form, cleanIt=True, force=True)
    return form


def spellings(molecule: Any, points: list[int], tokenizer: Tokenizer, seed: int) -> list[np.ndarray]:
    """Spell a scaffold in many ways (ids each), every one of which ends at one of the attachment points.

    Points take turns, whether many different spellings end there or few, which are then repeated.
    """
    rng = np.random.default_rng(seed)
    share = max(SPELLINGS // len(points), 1)
    ways = [
        _spellings_at(molecule, point, tokenizer, share, rng) for point in rng.permutation(points).tolist()
    ]
    turns = max(map(len, ways))
    return [way[turn % len(way)] for turn in range(turns) for way in ways]


def _spellings_at(
    molecule: Any, point: int, tokenizer: Tokenizer, count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Spell a scaffold in up to so many ways that end at one point."""
    found: dict[str, np.ndarray] = {}
    for _ in range(count):
        text = spell(molecule, point, rng)
        try:
            found[text] = tokenizer.encode(text)
        except SequenceError as error:
            raise ConfigError(f"--scaffold: this model cannot write {text}: {error}") from None
    return list(found.values())


def spell(molecule: Any, point: int, rng: np.random.Generator) -> str:
    """Write a molecule so that what follows is attached at one of its points.

    A spelling in which the point comes last by itself is what a model knows best; where chance finds none, its
    atom comes first and all the rest becomes a branch of it.
    """
    from rdkit import Chem

    form = opened(molecule, point)
    for _ in range(_ATTEMPTS):
        renumbered = Chem.RenumberAtoms(form, rng.permutation(form.GetNumAtoms()).tolist())
        text = _written(renumbered, 0)
        if text.endswith("*"):
            return text[:-1]
    dummy = next(atom for atom in form.GetAtoms() if not atom.GetAtomicNum())
    others = dummy.GetNeighbors()[0].GetTotalDegree() - 1
    return turned(_written(form, dummy.GetIdx()), others)


def turned(text: str, others: int) -> str:
    r"""Move a dummy atom from the beginning of a SMILES to its end, and leave it out there.

    The first neighbour of its atom becomes the last, past so many others, hydrogens counted: an odd number mirrors the
    mark of a stereocentre. A bond is named from its other end.

    >>> turned("*[C@@](C)(F)N", 3), turned("*[S@](=O)C", 2), turned("*/C=C/F", 2)
    ('[C@](C)(F)(N)', '[S@](=O)(C)', 'C(=C/F)\\')
    """
    head = _HEAD.match(text, 1)
    assert head is not None, "an atom follows the one that is moved"
    bond, atom = head.groups()
    if others % 2:
        atom = atom.replace("@@", "@") if "@@" in atom else atom.replace("@", "@@")
    return atom + branched(text[head.end() :]) + _MIRRORED[bond]


def branched(rest: str) -> str:
    """Put what follows an atom into brackets, where it is not already.

    >>> branched("(C)CC(=O)O")
    '(C)(CC(=O)O)'
    """
    done = depth = 0
    for place, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter == ")":
            done = place + 1
        elif depth == 0:
            break
    return rest[:done] + (f"({rest[done:]})" if rest[done:] else "")


def _written(form: Any, root: int) -> str:
    """Write a molecule from one of its atoms on, in the order of the others."""
    from rdkit.Chem import MolToSmiles

    # beside a metal a dummy atom is put into brackets
    return str(MolToSmiles(form, canonical=False, rootedAtAtom=root)).replace("[*]", "*")


def _stands_for_one(dummy: Any) -> bool:
    """Tell whether one single bond leads from a dummy atom to an atom."""
    from rdkit.Chem import BondType

    bonds = dummy.GetBonds()
    return (
        len(bonds) == 1
        and bonds[0].GetBondType() == BondType.SINGLE
        and bool(bonds[0].GetOtherAtom(dummy).GetAtomicNum())
    )
