"""The sequences of a table: cleaned as a tokenizer reads them, or the reason why they cannot be used."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bio_xlstm.records import Record
from bio_xlstm.tasks.evaluate.facts import read
from bio_xlstm.tasks.files.prepare import Preparation
from bio_xlstm.tokenizers import Tokenizer


class Cleaned(NamedTuple):
    """Hold one sequence; `text` is empty where it cannot be used."""

    text: str
    canonical: str
    status: str
    detail: str


def clean_sequences(records: Iterable[Record], tokenizer: Tokenizer) -> Iterator[Cleaned]:
    """Clean records one by one; nothing that a record holds stops the others."""
    preparation = Preparation(tokenizer, chemistry=False)
    for record in records:
        row, ids = preparation.prepare(record)
        text = tokenizer.decode(ids) if len(ids) else ""
        if tokenizer.kind != "smiles":
            yield Cleaned(text, text, row.status, row.detail)
            continue
        molecule = text or record.text.strip()
        reading = read(molecule) if molecule and record.status == "ok" else None
        if reading is not None and not reading.canonical:
            yield Cleaned("", "", "invalid_smiles", reading.reason)
        else:
            yield Cleaned(text, reading.canonical if reading and text else "", row.status, row.detail)
