"""All that an evaluation wants to know of one molecule, worked out in one go."""

from typing import Any, NamedTuple

from bio_xlstm.records.chemistry import LONGEST, read_smiles, too_large
from bio_xlstm.tasks.evaluate.alerts import alerts
from bio_xlstm.tasks.evaluate.molecule import flat_form, murcko_scaffold
from bio_xlstm.tasks.evaluate.properties import properties


class Reading(NamedTuple):
    """Hold the canonical form of a SMILES, or why there is none."""

    canonical: str
    reason: str = ""


class Facts(NamedTuple):
    """Describe one molecule."""

    smiles: str  # as written where it came first: RDKit does not read back every form that it writes
    canonical: str
    flat: str
    scaffold: str
    inchikey: str
    fragments: tuple[str, ...]
    properties: tuple[float, ...]
    alerts: tuple[str, ...]


def read(smiles: str) -> Reading:
    """Read a SMILES; an empty one is no molecule, and neither is one whose canonical form is too long to be read."""
    from rdkit import Chem

    found, reason = read_smiles(smiles)
    if found is None:
        return Reading("", reason or "")
    canonical = Chem.MolToSmiles(found)
    if len(canonical) > LONGEST:
        return Reading("", too_large(len(canonical), "characters of the canonical form"))
    return Reading(canonical) if found.GetNumAtoms() else Reading("", "it holds no atom")


def read_flat(smiles: str) -> str:
    """Return a molecule without stereo marks, "" where RDKit cannot read it."""
    found, _ = read_smiles(smiles)
    return "" if found is None else flat_form(found)


def describe(smiles: str) -> Facts:
    """Describe a molecule that RDKit reads."""
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
        return Facts(
            smiles,
            Chem.MolToSmiles(molecule),
            flat_form(molecule),
            murcko_scaffold(molecule),
            Chem.MolToInchiKey(molecule),
            brics_fragments(molecule),
            properties(molecule),
            alerts(molecule),
        )


def brics_fragments(molecule: Any) -> tuple[str, ...]:
    """Return the pieces that a molecule falls into when all its BRICS bonds (doi:10.1002/cmdc.200800178) are cut.

    Where a bond was cut, the piece carries the number of its environment.
    """
    from rdkit.Chem import MolToSmiles, rdmolops

    return tuple(MolToSmiles(rdmolops.FragmentOnBRICSBonds(molecule)).split("."))
