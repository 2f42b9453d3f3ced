"""Spellings of a scaffold that end where something can be attached, so that a model goes on from there."""

import re

import numpy as np

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.tokenizers.tokenizer import Tokenizer

SPELLINGS = 64
_ATTEMPTS = 20
# an atom and the numbers of the rings that it closes or opens
_HEAD = re.compile(r"(?:\[[^\]]*\]|Br|Cl|[A-Za-z])(?:[-=#$:/\\]?(?:%[0-9]{2}|[0-9]))*")


def read_scaffold(smiles: str) -> tuple[object, list[int]]:
    """Return a molecule of RDKit and the numbers of the atoms to which something may be attached.

    These are the neighbours of its dummy atoms `*`, which are taken away, or else all atoms with a hydrogen that
    can be replaced. ConfigError where it cannot be read or nothing can be attached.
    """
    from rdkit import Chem

    from bio_xlstm.records.chemistry import parse_reason

    reason = parse_reason(smiles) if smiles.strip() else "it is empty"
    if reason is not None:
        raise ConfigError(f"--scaffold {smiles!r} is no molecule: {reason}")
    molecule = Chem.MolFromSmiles(smiles)
    dummies = [atom for atom in molecule.GetAtoms() if atom.GetAtomicNum() == 0]
    for atom in dummies:
        for neighbour in atom.GetNeighbors():
            neighbour.SetIntProp("open", 1)
        # the hydrogen in its place is taken away as any other
        atom.SetAtomicNum(1)
        atom.SetIsotope(0)
    molecule = Chem.RemoveHs(molecule) if dummies else molecule
    points = [
        atom.GetIdx()
        for atom in molecule.GetAtoms()
        if atom.GetTotalNumHs() and (atom.HasProp("open") if dummies else not atom.GetFormalCharge())
    ]
    for atom in molecule.GetAtoms():
        atom.ClearProp("open")
    if not points:
        raise ConfigError(f"--scaffold {smiles}: no atom has a hydrogen that something could replace")
    return molecule, points


def spellings(molecule: object, points: list[int], tokenizer: Tokenizer, seed: int) -> list[np.ndarray]:
    """Spell a scaffold in many ways (ids each), every one of which ends at one of the attachment points."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for _ in range(SPELLINGS):
        text = spell(molecule, int(rng.choice(points)), rng)
        try:
            found[text] = tokenizer.encode(text)
        except SequenceError as error:
            raise ConfigError(f"--scaffold: this model cannot write {text}: {error}") from None
    return list(found.values())


def spell(molecule: object, point: int, rng: np.random.Generator) -> str:
    """Write a molecule so that what follows is attached to one of its atoms.

    A spelling of which the atom is the last one is what a model knows best; where chance finds none, the atom
    comes first and all the rest becomes a branch of it.
    """
    from rdkit import Chem

    for _ in range(_ATTEMPTS):
        order = rng.permutation(molecule.GetNumAtoms()).tolist()  # type: ignore[attr-defined]
        renumbered = Chem.RenumberAtoms(molecule, order)
        text = Chem.MolToSmiles(renumbered, canonical=False, rootedAtAtom=0)
        written = list(renumbered.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
        if order[written[-1]] == point:
            return _opened(text)
    text = Chem.MolToSmiles(molecule, canonical=False, rootedAtAtom=point)
    head = _HEAD.match(text)
    assert head is not None, "a molecule begins with an atom"
    rest = text[head.end() :]
    first = _freed(head[0])
    return first + branched(rest)


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


def _opened(text: str) -> str:
    """Free the last atom of a spelling of a hydrogen that is written out."""
    tail = re.search(r"\[[^\]]*\](?:[-=#$:/\\]?(?:%[0-9]{2}|[0-9]))*$", text)
    return text if tail is None else text[: tail.start()] + _freed(tail[0])


def _freed(atom: str) -> str:
    """Take a hydrogen from an atom in brackets, and from chiral atoms the mark that it makes wrong.

    >>> _freed("[nH]1"), _freed("[C@@H]2")
    ('n1', 'C2')
    """
    found = re.match(r"\[(Br|Cl|B|C|N|O|P|S|F|I|b|c|n|o|p|s)@{0,2}H[0-9]?\]", atom)
    return atom if found is None else found[1] + atom[found.end() :]
