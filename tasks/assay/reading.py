"""A table read whole: its records, and every column as text."""

from itertools import islice
from typing import NamedTuple

from bio_xlstm.errors import InputError
from bio_xlstm.records import Record, RecordSource
from bio_xlstm.records.columns import choose_column
from bio_xlstm.records.formats import TABLES, find_format
from bio_xlstm.records.parquet import BATCH_ROWS, cells, open_parquet
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.reader import column_names
from bio_xlstm.records.table import DELIMITER, table_header, table_rows


class Table(NamedTuple):
    """Hold R rows."""

    name: str
    kind: str
    sequence_column: str
    records: list[Record]
    columns: dict[str, list[str]]  # (R,) each, in the order of the file


def open_table(path: str, wanted: str) -> tuple[RawFile, str]:
    """Open a file that must be a table; `wanted` says what the table should hold."""
    raw = RawFile(path)
    form = find_format(raw)
    if form not in TABLES:
        found = f"a {form} file" if form else "plain lines"
        raise InputError(f"{raw.name}: {wanted} must be a table (.csv, .tsv, .parquet); this is {found}")
    assert form is not None
    return raw, form


def read_whole(
    path: str, *, column: str | None, kind: str | None, limit: int | None, option: str = "--column"
) -> Table:
    """Read a table of sequences; raise InputError where it is none or holds no row. `option` takes the column."""
    raw, form = open_table(path, "an assay")
    names = column_names(raw, form)
    refuse_repeated(names, raw.name)
    source = RecordSource(raw, path, form, kind, column)
    # what the column names leave open is an error before letters are looked at
    chosen = names[choose_column(names, kind=kind, column=column, source=raw.name, option=option)]
    found = source.kind
    records = list(islice(source, limit))
    if form == "parquet":
        columns = {name: found[:limit] for name, found in parquet_cells(raw).items()}
    else:
        columns = {name: [(record.fields or {}).get(name, "") for record in records] for name in names}
    return Table(raw.name, found, chosen, [record._replace(fields=None) for record in records], columns)


def read_cells(path: str) -> tuple[str, dict[str, list[str]]]:
    """Return the name of a table and all its columns as text; it need not hold sequences."""
    raw, form = open_table(path, "the input")
    names = column_names(raw, form)
    refuse_repeated(names, raw.name)
    if form == "parquet":
        return raw.name, parquet_cells(raw)
    header = table_header(raw, DELIMITER[form])
    columns: dict[str, list[str]] = {name: [] for name in names}
    for line, _, row in table_rows(raw, header.delimiter):
        if line <= header.line or not row:
            continue
        if len(row) != len(names):
            raise InputError(f"{raw.name} line {line}: {len(row)} columns, the header has {len(names)}")
        for name, cell in zip(names, row, strict=True):
            columns[name].append(cell)
    if not columns or not columns[names[0]]:
        raise InputError(f"{raw.name}: the file holds no rows")
    return raw.name, columns


def refuse_repeated(names: list[str], source: str) -> None:
    """Raise InputError where two columns have one name: the cells of one would be lost."""
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise InputError(
            f"{source}: {names.count(repeated[0])} columns are called {repeated[0]!r}; rename them"
        )


def parquet_cells(raw: RawFile) -> dict[str, list[str]]:
    """Return every column of a Parquet file as text; null becomes ""."""
    with open_parquet(raw) as table:
        columns: dict[str, list[str]] = {name: [] for name in table.schema_arrow.names}
        for batch in table.iter_batches(batch_size=BATCH_ROWS):
            for name in columns:
                columns[name].extend(cells(batch.column(name)))
    return columns
