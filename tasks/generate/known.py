"""What is known already: the sequences of files, by what makes two the same."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, islice

from bio_xlstm.records import open_records
from bio_xlstm.tasks.evaluate.spread import WORTHWHILE, choose_workers, spread
from bio_xlstm.tokenizers import TOKENIZERS
from bio_xlstm.tokenizers.tokenizer import Tokenizer


def known_keys(paths: Iterable[str], kind: str, workers: int | None = None) -> frozenset[str]:
    """Return the canonical SMILES of all molecules of some files, or their sequences as models read them.

    Many molecules are shared out among processes; None chooses how many by the machine, 0 is none but this one.
    """
    texts = (record.text for path in paths for record in open_records(path, kind=kind) if record.text)
    key: Callable[[str], str] = canonical
    first: list[str] = []
    if kind == "smiles":
        first = list(islice(texts, WORTHWHILE))
    else:
        # letters are looked up faster than they are sent to another process
        key, workers = partial(plain, TOKENIZERS[kind]()), 0
    found = spread(key, chain(first, texts), choose_workers(workers, len(first)))
    return frozenset(filter(None, found))


def canonical(text: str) -> str:
    """Return the canonical SMILES of a molecule, "" where RDKit cannot read it."""
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecule = Chem.MolFromSmiles(text.strip())
    return "" if molecule is None else str(Chem.MolToSmiles(molecule))


def plain(tokenizer: Tokenizer, text: str) -> str:
    """Return a sequence without gaps, in upper case."""
    return tokenizer.decode(tokenizer.prepare(text).ids)
