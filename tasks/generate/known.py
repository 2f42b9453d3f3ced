"""What is known already: the sequences of files, by what makes two the same."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, islice

from bio_xlstm.errors import InputError
from bio_xlstm.records import RecordSource
from bio_xlstm.records.chemistry import parsed
from bio_xlstm.tasks.evaluate.spread import WORTHWHILE, choose_workers, spread
from bio_xlstm.tasks.files.opening import Say
from bio_xlstm.tasks.generate.contexts import open_of_kind
from bio_xlstm.tasks.generate.words import NOUNS
from bio_xlstm.tokenizers import TOKENIZERS
from bio_xlstm.tokenizers.tokenizer import Tokenizer, counted

log = logging.getLogger(__name__)


def known_keys(
    paths: Iterable[str], kind: str, workers: int | None = None, say: Say = log.warning
) -> frozenset[str]:
    """Return the canonical SMILES of all molecules of some files, or their sequences as models read them.

    Many molecules are shared out among processes; None chooses how many by the machine, 0 is none but this one.
    InputError where a file holds something else, or nothing that can be read.
    """
    # all are looked at before the first is read, which takes minutes for millions
    sources = [open_of_kind(path, kind, "--exclude of this model holds") for path in paths]
    return frozenset().union(*(_keys(source, kind, workers, say) for source in sources))


def _keys(source: RecordSource, kind: str, workers: int | None, say: Say) -> set[str]:
    """Read one file, and say what of it could not be read."""
    texts = (record.text for record in source if record.text)
    key: Callable[[str], str] = canonical
    first: list[str] = []
    if kind == "smiles":
        first = list(islice(texts, WORTHWHILE))
    else:
        # letters are looked up faster than they are sent to another process
        key, workers = partial(plain, TOKENIZERS[kind]()), 0
    found: set[str] = set()
    lost = 0
    for one in spread(key, chain(first, texts), choose_workers(workers, len(first))):
        lost += not one
        found.add(one)
    found.discard("")
    if not found:
        raise InputError(f"{source.name} holds no {NOUNS[kind]} that can be read: nothing would be excluded")
    if lost:
        say(f"{source.name}: {counted(lost, NOUNS[kind])} of --exclude cannot be read and are not compared")
    return found


def canonical(text: str) -> str:
    """Return the canonical SMILES of a molecule, "" where RDKit cannot read it."""
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecule = parsed(text.strip())
    return "" if molecule is None else str(Chem.MolToSmiles(molecule))


def plain(tokenizer: Tokenizer, text: str) -> str:
    """Return a sequence without gaps, in upper case."""
    return tokenizer.decode(tokenizer.prepare(text).ids)
