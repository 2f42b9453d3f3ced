"""Print how far the properties that molecules are compared by usually are from their mean.

    python benchmarks/property_spreads.py --data DIR

DIR holds mol_assays/fsmol_train.tsv.xz. The spreads stand, rounded, in bio_xlstm/in_context/properties.py.
"""

from pathlib import Path

import numpy as np
from options import make_parser, run_script
from rdkit import RDLogger
from rdkit.Chem import MolFromSmiles

from bio_xlstm.in_context.properties import SPREADS, properties
from bio_xlstm.records import open_records

TABLE = "mol_assays/fsmol_train.tsv.xz"
MOLECULES = 50_000


def main() -> None:
    """Read molecules and print deviations."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with mol_assays")
    options = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    texts = sorted({record.text for record in open_records(str(options.data / TABLE), kind="smiles")})
    chosen = np.random.default_rng(0).permutation(len(texts))[:MOLECULES]
    found = (MolFromSmiles(texts[place]) for place in chosen)
    molecules = [molecule for molecule in found if molecule is not None]
    spreads = properties(molecules).astype(np.float64).std(0)
    print(f"{len(molecules):,} of {len(texts):,} molecules; deviations in units of the spreads that are used")
    for name, spread in zip((*SPREADS, "formal charge"), spreads, strict=True):
        print(f"{name:20} {spread:.2f}")


if __name__ == "__main__":
    run_script(main)
