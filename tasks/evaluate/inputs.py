"""Generated and real sequences from files: every record with its status, and the texts of those that can be read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from bio_xlstm.errors import InputError
from bio_xlstm.records import Record, RecordSource, open_records
from bio_xlstm.tasks.evaluate.facts import read
from bio_xlstm.tasks.evaluate.request import GenerationRequest
from bio_xlstm.tasks.evaluate.spread import choose_workers, spread
from bio_xlstm.tasks.files.prepare import Preparation
from bio_xlstm.tokenizers import TOKENIZERS

WORDS = {"dna": "DNA", "protein": "proteins", "smiles": "molecules"}
ONE = {"dna": "a DNA sequence", "protein": "a protein", "smiles": "a valid molecule"}


@dataclass(frozen=True)
class Entry:
    """Hold one record: what it says, and its canonical form or cleaned letters, "" where it cannot be read."""

    row: int
    id: str
    text: str
    form: str
    status: str
    detail: str


@dataclass(frozen=True)
class Sources:
    """Hold the open inputs of an evaluation, all of one kind."""

    generated: RecordSource
    reference: RecordSource | None
    train: RecordSource | None

    @property
    def kind(self) -> str:
        """Return "dna", "protein" or "smiles"."""
        return self.generated.kind


def open_sources(request: GenerationRequest) -> Sources:
    """Open all inputs; InputError where one cannot be read or holds something else than the generated ones."""
    form = {"kind": request.kind, "input_format": request.input_format}
    generated = open_records(request.generated, column=request.column, **form)
    others = [
        None if path is None else open_records(path, kind=request.kind, column=column)
        for path, column in (
            (request.reference, request.reference_column),
            (request.train, request.train_column),
        )
    ]
    for other in others:
        if other is not None and other.kind != generated.kind:
            raise InputError(
                f"{other.name} holds {WORDS[other.kind]}, but {generated.name} holds {WORDS[generated.kind]}; "
                "if that is not so, say what both hold with --kind"
            )
    return Sources(generated, *others)


def read_entries(records: Iterable[Record], kind: str, workers: int) -> Iterator[Entry]:
    """Read records one by one; nothing that a record holds stops the others."""
    return _molecules(records, workers) if kind == "smiles" else _letters(records, kind)


def generated_entries(source: RecordSource, limit: int | None, workers: int | None) -> list[Entry]:
    """Read what was generated."""
    records = list(islice(source, limit))
    return list(read_entries(records, source.kind, choose_workers(workers, len(records))))


def reference_entries(source: RecordSource, most: int, seed: int, workers: int | None) -> list[Entry]:
    """Read real sequences, a fair sample where there are more than `most`; InputError where none can be read."""
    sample = draw(source, most, np.random.default_rng(seed))
    found = list(read_entries(sample, source.kind, choose_workers(workers, len(sample))))
    kept = [entry for entry in found if entry.form]
    if not kept:
        first = found[0]
        raise InputError(
            f"{source.name}: no record is {ONE[source.kind]} (row {first.row}: {first.status}. {first.detail})"
        )
    return kept


def draw(records: Iterable[Record], most: int, rng: np.random.Generator) -> list[Record]:
    """Keep a uniform sample, in the order of the file (reservoir sampling)."""
    kept: list[Record] = []
    for seen, record in enumerate(records):
        record = record._replace(fields=None)
        if seen < most:
            kept.append(record)
        elif (place := int(rng.integers(seen + 1))) < most:
            kept[place] = record
    return sorted(kept, key=lambda record: record.row)


def _molecules(records: Iterable[Record], workers: int) -> Iterator[Entry]:
    held = list(records)
    readings = spread(read, [record.text.strip() for record in held], workers)
    for record, reading in zip(held, readings, strict=True):
        text = record.text.strip()
        status, detail, form = "ok", "", reading.canonical
        if record.status != "ok":
            status, detail, form = record.status, record.detail, ""
        elif not text:
            status, detail = "empty", "there is no SMILES"
        elif not form:
            status, detail = "invalid_smiles", reading.reason
        yield Entry(record.row, record.id, text, form, status, detail)


def _letters(records: Iterable[Record], kind: str) -> Iterator[Entry]:
    tokenizer = TOKENIZERS[kind]()
    preparation = Preparation(tokenizer, chemistry=False)
    for record in records:
        row, ids = preparation.prepare(record)
        form = tokenizer.decode(ids) if len(ids) else ""
        yield Entry(record.row, record.id, record.text.strip(), form, row.status, row.detail)
