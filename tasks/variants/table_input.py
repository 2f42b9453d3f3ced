"""Tables and lists of variants: which columns hold what, and one record per row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from bio_xlstm.errors import ConfigError, InputError, SequenceError
from bio_xlstm.records import Record, RecordSource, open_records
from bio_xlstm.records.columns import SHOWN, normal
from bio_xlstm.records.formats import TABLES
from bio_xlstm.records.parquet import BATCH_ROWS, cells, open_parquet
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.reader import column_names
from bio_xlstm.tasks.variants.request import VariantRequest
from bio_xlstm.tasks.variants.source import VariantSource
from bio_xlstm.tasks.variants.words import MUTANT, SEQUENCE, WILD_ID, WILD_SEQUENCE
from bio_xlstm.variants.mutations import parse_mutations

# what lists and files of sequences call their own columns
MUTANT_NAME, SEQUENCE_NAME, ID_NAME = "mutant", "mutated_sequence", "id"
# records in which mutations are looked for
_LOOKED_AT = 20


class Columns(NamedTuple):
    """Name the columns that hold the variants; None where there is none."""

    mutant: str | None = None
    sequence: str | None = None
    wild_sequence: str | None = None
    wild_id: str | None = None


@dataclass(frozen=True)
class TableSource(VariantSource):
    """Read a table with a row per variant."""

    names: tuple[str, ...]
    found: Columns
    wild_letters: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        return self.names

    def __iter__(self) -> Iterator[Record]:
        """Yield a record per row; its text is the mutated sequence, else the mutations."""
        chosen = self.found.sequence or self.found.mutant
        assert chosen is not None
        if self.file.format == "parquet":
            yield from _parquet_rows(self.file, self.names, chosen)
            return
        for record in RecordSource(RawFile(self.file.path), self.file.path, self.file.format, None, chosen):
            yield _named(record, self.found.mutant)

    def letters(self, record: Record) -> int:
        """Return the length of the mutated sequence, or of the wild type where only mutations are given."""
        return len(record.text) if self.found.sequence else self.wild_letters


@dataclass(frozen=True)
class ListSource(VariantSource):
    """Read plain lines with mutations, or a file of sequences such as FASTA."""

    found: Columns
    wild_letters: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the one column of a list, or the names and letters of sequences."""
        return (MUTANT_NAME,) if self.found.mutant else (ID_NAME, SEQUENCE_NAME)

    def __iter__(self) -> Iterator[Record]:
        """Yield a record per line or sequence."""
        for record in self.file:
            text = record.text.strip()
            if self.found.mutant:
                yield record._replace(id=text, fields={MUTANT_NAME: text})
            else:
                yield record._replace(fields={ID_NAME: record.id, SEQUENCE_NAME: "".join(text.split())})

    def letters(self, record: Record) -> int:
        """Return the length of the sequence."""
        return self.wild_letters if self.found.mutant else len(record.text)


def open_table(request: VariantRequest, kind: str, wild_letters: int) -> TableSource | ListSource:
    """Open an input that is neither a genome's variants nor a scan; InputError where it shows no variants."""
    file = open_records(request.input, kind=kind, input_format=request.input_format)
    if file.format in TABLES:
        names = column_names(RawFile(file.path), file.format)
        _refuse_twins(names, file.name)
        return TableSource(file, tuple(names), find_columns(names, request, file.name), wild_letters)
    if request.mutant_column or request.column:
        raise InputError(f"{file.name}: the file is no table, so it has no columns to name")
    if file.format == "lines" and _are_mutations(file):
        return ListSource(file, Columns(mutant=MUTANT_NAME), wild_letters)
    return ListSource(file, Columns(sequence=SEQUENCE_NAME), wild_letters)


def find_columns(names: Sequence[str], request: VariantRequest, source: str) -> Columns:
    """Find the columns by their names, those that are asked for first."""
    mutant = pick(names, request.mutant_column, MUTANT, source)
    sequence = pick(names, request.column, SEQUENCE, source)
    if mutant is None and sequence is None:
        shown = ", ".join(names[:SHOWN])
        raise InputError(
            f"{source}: no column of mutations or mutated sequences found; the columns are {shown}; name one with "
            "--mutant-column or --column"
        )
    wild_sequence = wild_id = None
    if request.wildtype is not None:
        wild_id = pick(names, request.wildtype_column, WILD_ID, source)
    else:
        wild_sequence = pick(names, request.wildtype_column, WILD_SEQUENCE, source)
    return Columns(mutant, sequence, wild_sequence, wild_id)


def pick(names: Sequence[str], asked: str | None, known: Sequence[str], source: str) -> str | None:
    """Return the column asked for, else the first of the known ones, else None; InputError for a wrong name."""
    plain = {normal(name): name for name in reversed(names)}
    if asked is not None:
        if asked in names:
            return asked
        if normal(asked) not in plain:
            raise InputError(
                f"{source}: there is no column {asked!r}; the columns are {', '.join(names[:SHOWN])}"
            )
        return plain[normal(asked)]
    return next((plain[name] for name in known if name in plain), None)


def _refuse_twins(names: Sequence[str], source: str) -> None:
    """Refuse columns of one name: the output could not keep them apart."""
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"{source}: there are {names.count(name)} columns {name!r}; give them different names"
            )


def _are_mutations(file: RecordSource) -> bool:
    """Tell whether the first line looks like mutations rather than a sequence."""
    first = next(iter(file), None)
    return first is not None and any(symbol.isdigit() for symbol in first.text)


def _named(record: Record, column: str | None) -> Record:
    """Call a row by its mutations where it has any."""
    name = (record.fields or {}).get(column, "").strip() if column else ""
    return record._replace(id=name or record.id)


def _parquet_rows(file: RecordSource, names: Sequence[str], chosen: str) -> Iterator[Record]:
    """Yield the rows of a Parquet table with all their cells."""
    row = 0
    with open_parquet(RawFile(file.path)) as table:
        for batch in table.iter_batches(batch_size=BATCH_ROWS):
            columns = [cells(batch.column(name)) for name in names]
            for values in zip(*columns, strict=True):
                fields = dict(zip(names, values, strict=True))
                yield Record(row, "", fields[chosen], 0, fields=fields)
                row += 1


def check_list(file: RecordSource) -> None:
    """Refuse a list of mutations whose wild type nobody can know."""
    for record in islice(file, _LOOKED_AT) if file.format == "lines" else ():
        if any(letter.isdigit() for letter in record.text):
            try:
                parse_mutations(record.text)
            except SequenceError:
                continue
            raise ConfigError(
                f"{file.name} is a list of mutations, which does not say what they change: give --wildtype FASTA"
            )


def check_wildtype(request: VariantRequest, found: Columns) -> None:
    """Refuse mutations whose wild type nobody can know."""
    if found.sequence is None and request.wildtype is None and found.wild_sequence is None:
        raise ConfigError(
            "mutations alone do not say what they change: give --wildtype FASTA, or a column with the mutated or the "
            "wild-type sequence"
        )
