"""The properties of a molecule that distributions are compared in."""

from typing import Any

NOT_MEASURED = float("nan")

# name and what it says, in the order of `properties`
PROPERTIES = {
    "weight": "molecular weight (Da)",
    "logp": "octanol-water partition, logP (Crippen)",
    "qed": "drug-likeness, QED",
    "tpsa": "topological polar surface area (Å²)",
    "sa_score": "synthetic accessibility, 1 easy to 10 hard",
    "rings": "rings",
    "aromatic_rings": "aromatic rings",
    "rotatable_bonds": "rotatable bonds",
    "h_donors": "hydrogen-bond donors",
    "h_acceptors": "hydrogen-bond acceptors",
    "heavy_atoms": "heavy atoms",
    "fraction_sp3": "share of carbon that is sp3",
}
# whole numbers, which get a bar each
COUNTS = frozenset(("rings", "aromatic_rings", "rotatable_bonds", "h_donors", "h_acceptors", "heavy_atoms"))


def properties(molecule: Any) -> tuple[float, ...]:
    """Measure a molecule of RDKit in the order of PROPERTIES; NaN where RDKit cannot."""
    from rdkit.Chem import QED, rdMolDescriptors

    # QED measures most of them on its way
    parts = QED.properties(molecule)
    return (
        parts.MW,
        parts.ALOGP,
        QED.qed(molecule, qedProperties=parts),
        parts.PSA,
        accessibility(molecule),
        rdMolDescriptors.CalcNumRings(molecule),
        rdMolDescriptors.CalcNumAromaticRings(molecule),
        rdMolDescriptors.CalcNumRotatableBonds(molecule),
        rdMolDescriptors.CalcNumHBD(molecule),
        rdMolDescriptors.CalcNumHBA(molecule),
        molecule.GetNumHeavyAtoms(),
        rdMolDescriptors.CalcFractionCSP3(molecule),
    )


def accessibility(molecule: Any) -> float:
    """Return the synthetic accessibility of Ertl and Schuffenhauer (doi:10.1186/1758-2946-1-8)."""
    try:
        from rdkit.Contrib.SA_Score import sascorer
    except ImportError:
        # some builds of RDKit leave its contributions out
        return NOT_MEASURED
    try:
        score = sascorer.calculateScore(molecule)
    except (ArithmeticError, ValueError):
        return NOT_MEASURED
    return NOT_MEASURED if score is None else float(score)
