"""Deep mutational scans of single mutants, one per protein: those with multiple mutants first, then by name."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from fewshot_protein_methods import Scan

from bio_xlstm.records import open_records
from bio_xlstm.variants.mutations import parse_mutations, revert_mutations

MOST_SCANS, FEWEST_MUTANTS, LONGEST = 16, 400, 300


def read_scans(
    folder: Path, most: int, scans: int = MOST_SCANS, *, shortest: int = 1, longest: int = LONGEST
) -> Iterator[Scan]:
    """Yield scans with at least 400 single mutants, of each protein the first, at most so many mutants of each."""
    seen: set[str] = set()
    for name, wild, rows, column in _every(folder):
        protein = "_".join(name.split("_")[:2])
        single = [row for row in rows if ":" not in row["mutant"] and _is_number(row[column])]
        if protein in seen or len(single) < FEWEST_MUTANTS or not shortest <= len(wild) <= longest:
            continue
        if len(seen) == scans:
            return
        seen.add(protein)
        order = np.random.default_rng(0).permutation(len(single))[:most]
        chosen = [single[index] for index in sorted(order)]
        mutants = [row["mutant"] for row in chosen]
        yield Scan(name, wild, mutants, np.array([float(row[column]) for row in chosen]))


def _every(folder: Path) -> Iterator[tuple[str, str, list[Mapping[str, str]], str]]:
    """Yield name, wild type, rows and the column of effects."""
    for path in sorted((folder / "proteingym_v1").glob("*.csv.xz")):
        rows = list(_rows(path))
        wild = revert_mutations(rows[0]["mutated_sequence"], parse_mutations(rows[0]["mutant"]))
        yield path.name.split(".")[0], wild, rows, "DMS_score"
    wild_types = {one.id: one.text for one in open_records(folder / "proteingym_singles_wt.fasta.xz")}
    singles: dict[str, list[Mapping[str, str]]] = {}
    for row in _rows(folder / "proteingym_singles.csv.xz"):
        singles.setdefault(row["dms_id"], []).append(row)
    for name in sorted(singles):
        yield name, wild_types[name].replace("\n", ""), singles[name], "score"


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a compressed table."""
    import csv
    import lzma

    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False
