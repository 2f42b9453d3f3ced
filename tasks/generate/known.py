"""What is known already: the sequences of files, by what makes two the same."""

from collections.abc import Iterable

from bio_xlstm.records import open_records
from bio_xlstm.tokenizers import TOKENIZERS


def known_keys(paths: Iterable[str], kind: str) -> frozenset[str]:
    """Return the canonical SMILES of all molecules of some files, or their sequences as models read them."""
    return frozenset(
        key
        for path in paths
        for record in open_records(path, kind=kind)
        if record.text and (key := (canonical if kind == "smiles" else plain)(record.text, kind))
    )


def canonical(text: str, kind: str) -> str:
    """Return the canonical SMILES of a molecule, "" where RDKit cannot read it."""
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecule = Chem.MolFromSmiles(text.strip())
    return "" if molecule is None else str(Chem.MolToSmiles(molecule))


def plain(text: str, kind: str) -> str:
    """Return a sequence without gaps, in upper case."""
    tokenizer = TOKENIZERS[kind]()
    return tokenizer.decode(tokenizer.prepare(text).ids)
