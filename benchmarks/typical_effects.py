"""Write what replacing one residue by another usually does, over deep mutational scans of many proteins.

    python benchmarks/typical_effects.py --data DIR [--out bio_xlstm/in_context/typical_effects.csv]

DIR holds protein_assays (ProteinGym: Notin et al. 2023, doi:10.1101/2023.12.07.570727, MIT licence). Only proteins of
more than 300 residues are read: those of docs/fewshot.md, which predictions are measured on, are shorter. Every scan is
standardised, so that an effect is in units of its deviation; few observations are drawn towards no effect.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from fewshot_protein_methods import Scan
from fewshot_protein_scans import LONGEST, read_scans
from options import make_parser, run_script

from bio_xlstm.variants.mutations import parse_mutations

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
MOST_MUTANTS = 1500
# observations of no effect that every replacement is given
NOTHING = 5


def main() -> None:
    """Read the scans and write the table."""
    options = parse()
    total, count = (np.zeros((len(RESIDUES), len(RESIDUES))) for _ in range(2))
    scans = 0
    for scan in read_scans(
        options.data / "protein_assays", MOST_MUTANTS, 1000, shortest=LONGEST + 1, longest=10_000
    ):
        add(scan, total, count)
        scans += 1
        print(f"{scan.name}: {len(scan.wild)} residues, {len(scan.values)} mutants")
    effects = total / (count + NOTHING)
    with options.out.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("wild", "mutant", "effect", "observations"))
        for wild, mutant in np.argwhere(~np.eye(len(RESIDUES), dtype=bool)):
            effect = f"{effects[wild, mutant]:.3f}"
            rows.writerow((RESIDUES[wild], RESIDUES[mutant], effect, int(count[wild, mutant])))
    print(f"wrote {options.out}: {scans} scans, {int(count.sum()):,} mutants")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with protein_assays")
    default = Path("bio_xlstm/in_context/typical_effects.csv")
    parser.add_argument("--out", type=Path, default=default, help="[%(default)s]")
    return parser.parse_args()


def add(scan: Scan, total: np.ndarray, count: np.ndarray) -> None:
    """Add the standardised effects of a scan to sums and counts by residues (20, 20)."""
    places = [
        (RESIDUES.index(one.wild), RESIDUES.index(one.mutant))
        for (one,) in map(parse_mutations, scan.mutants)
    ]
    standard = (scan.values - scan.values.mean()) / scan.values.std()
    where = tuple(np.array(places).T)
    np.add.at(total, where, standard)
    np.add.at(count, where, 1)


if __name__ == "__main__":
    run_script(main)
