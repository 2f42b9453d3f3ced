"""Which column of a table holds the sequences, and which one their names."""

import csv
import sys
from collections.abc import Sequence

from bio_xlstm.errors import InputError

# names in order of preference; the generic ones say nothing about the kind
COLUMNS: dict[str, tuple[str, ...]] = {
    "smiles": (
        "smiles",
        "canonical_smiles",
        "isomeric_smiles",
        "smi",
        "structure_smiles",
        "rdkit_smiles",
        "mol_smiles",
    ),
    "protein": (
        "protein_sequence",
        "mutated_sequence",
        "aa_sequence",
        "aa_seq",
        "amino_acid_sequence",
        "peptide_sequence",
        "peptide",
        "protein",
    ),
    "dna": (
        "dna_sequence",
        "dna_seq",
        "dna",
        "rna_sequence",
        "rna_seq",
        "rna",
        "nucleotide_sequence",
        "nt_sequence",
        "nt_seq",
    ),
    "": ("sequence", "seq", "sequences", "text"),
}
ID_COLUMNS = (
    *("id", "name", "identifier", "accession", "title", "compound_id", "molecule_id", "mol_id", "seq_id"),
    *(
        "sequence_id",
        "protein_id",
        "record_id",
        "entry",
        "uniprot_id",
        "uniprot",
        "cmpd_chemblid",
        "chembl_id",
    ),
    *("compound_chembl_id", "molecule_chembl_id", "zinc_id", "cid", "compound_name", "mutant", "variant"),
)
# how many columns a message lists
SHOWN = 30
DELIMITERS = (",", "\t", ";", "|")


def normal(name: str) -> str:
    """Write a column name in its comparable form: lower case, one underscore for blanks, dots and dashes."""
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def column_kind(name: str) -> str | None:
    """Return the kind that a column's name promises: "dna", "protein", "smiles", "" any, None no sequence."""
    plain = normal(name)
    for kind, names in COLUMNS.items():
        if plain in names:
            return kind
    words = plain.split("_")
    if words[-1] == "smiles" and not {"rxn", "reaction"} & set(words):
        return "smiles"
    return "" if words[-1] in ("sequence", "seq") else None


def rank(name: str) -> int:
    """Order the columns of one kind: known names first, in the order of `COLUMNS`."""
    names = COLUMNS.get(column_kind(name) or "", ())
    return names.index(normal(name)) if normal(name) in names else len(names)


def allow_long_cells() -> None:
    """Let the csv module read a genome: by itself it stops at 131,072 characters per cell."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def split_header(line: str, prefer: str = ",") -> tuple[str, list[str]]:
    """Return the delimiter of a header line, the one that gives most columns, and the columns' names."""
    allow_long_cells()
    order = sorted(DELIMITERS, key=lambda d: d != prefer)
    rows = {d: next(csv.reader([line.strip("\r\n")], delimiter=d), []) for d in order}
    best = max(order, key=lambda d: len(rows[d]))
    return best, [name.strip() for name in rows[best]]


def is_table_header(line: str) -> bool:
    """Say whether a line has several columns of which one carries a known name."""
    names = split_header(line)[1]
    return len(names) > 1 and any(normal(name) in known for known in COLUMNS.values() for name in names)


def choose_column(
    names: Sequence[str], *, kind: str | None, column: str | None, source: str, option: str = "--column"
) -> int:
    """Return the index of the sequence column: the one asked for, else the best-named one for `kind`.

    Raise InputError when there is none, or when columns of several kinds could be meant; it names the `option` that
    takes the column.
    """
    shown = ", ".join([name or "''" for name in names[:SHOWN]] + ["..."] * (len(names) > SHOWN))
    if column is not None:
        matches = [i for i, name in enumerate(names) if name == column]
        matches = matches or [i for i, name in enumerate(names) if normal(name) == normal(column)]
        if not matches:
            raise InputError(f"{source}: there is no column {column!r}; the columns are {shown}")
        return matches[0]
    kinds = {i: found for i, name in enumerate(names) if (found := column_kind(name)) is not None}
    if kind is not None:
        kinds = {i: found for i, found in kinds.items() if found in (kind, "")}
    if not kinds:
        wanted = f"no {kind} column" if kind else "no sequence column"
        raise InputError(f"{source}: {wanted} found; the columns are {shown}; name one with {option}")
    if len(set(kinds.values())) > 1 and kind is None:
        several = ", ".join(names[i] for i in kinds)
        raise InputError(f"{source}: the columns {several} could all be meant; name one with {option}")
    return min(kinds, key=lambda i: (kinds[i] != kind, rank(names[i])))


def choose_id(names: Sequence[str], taken: int) -> int | None:
    """Return the index of the column of names, or None; `taken` is the sequence column."""
    plain = [normal(name) if i != taken else "" for i, name in enumerate(names)]
    return next((plain.index(name) for name in ID_COLUMNS if name in plain), None)
