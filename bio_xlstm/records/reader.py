"""The reader of every format, by name."""

from collections.abc import Iterator
from itertools import chain

from bio_xlstm.errors import InputError
from bio_xlstm.records.fasta import read_fasta
from bio_xlstm.records.fastq import read_fastq
from bio_xlstm.records.formats import TABLES
from bio_xlstm.records.lines import read_lines
from bio_xlstm.records.parquet import parquet_columns, read_parquet
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.sdf import read_sdf
from bio_xlstm.records.smileslines import read_smiles
from bio_xlstm.records.stockholm import read_stockholm
from bio_xlstm.records.table import DELIMITER, read_table, table_header

READERS = {
    "fasta": read_fasta,
    "fastq": read_fastq,
    "stockholm": read_stockholm,
    "smiles": read_smiles,
    "sdf": read_sdf,
    "lines": read_lines,
}


def read_records(raw: RawFile, form: str, *, kind: str | None, column: str | None) -> Iterator[Record]:
    """Read an input in format `form`; raise InputError when it holds no record at all.

    `kind` and `column` choose among the columns of a table.
    """
    records = all_records(raw, form, kind=kind, column=column)
    first = next(records, None)
    if first is None:
        raise InputError(f"{raw.name}: the file holds no records")
    return chain([first], records)


def all_records(raw: RawFile, form: str, *, kind: str | None, column: str | None) -> Iterator[Record]:
    """Start the reader of a format."""
    if form == "parquet":
        return read_parquet(raw, kind=kind, column=column)
    if form in TABLES:
        return read_table(raw, kind=kind, column=column, prefer=DELIMITER[form])
    if column is not None:
        raise InputError(f"{raw.name}: a {form} file has no columns, so --column {column} cannot be read")
    return READERS[form](raw)


def column_names(raw: RawFile, form: str) -> list[str]:
    """Return the column names of a table."""
    return parquet_columns(raw) if form == "parquet" else table_header(raw, DELIMITER[form]).names
