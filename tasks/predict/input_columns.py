"""The columns of an input, read once more beside the finished rows: nothing of them passes through the parts."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bio_xlstm.errors import InputError
from bio_xlstm.records import Record, RecordSource
from bio_xlstm.records.formats import TABLES
from bio_xlstm.records.parquet import BATCH_ROWS, open_parquet
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.reader import column_names


class InputColumns(NamedTuple):
    """Name the columns of an input; `rows` reads their cells."""

    source: RecordSource
    names: tuple[str, ...]
    kinds: tuple[Any, ...]  # Arrow types of a Parquet file, None for text

    @classmethod
    def of(cls, source: RecordSource) -> "InputColumns":
        """Look at an input; InputError where two columns have one name, and cells could not be told apart."""
        raw: RawFile = source.raw
        if source.format == "parquet":
            with open_parquet(raw) as table:
                schema = table.schema_arrow
                names, kinds = tuple(schema.names), tuple(schema.types)
        elif source.format in TABLES:
            names = tuple(column_names(raw, source.format))
            kinds = (None,) * len(names)
        else:
            # a molecule is short enough to stand beside its prediction
            names = ("smiles", "id") if source.kind == "smiles" else ("id",)
            kinds = (None,) * len(names)
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise InputError(f"{source.name}: several columns are called {repeated[0]!r}; rename them")
        return cls(source, names, kinds)

    def rows(self) -> Iterator[Sequence[Any]]:
        """Yield the cells of every record, in the order of the input."""
        if self.source.format == "parquet":
            yield from self._parquet_rows()
            return
        for record in self.source:
            yield self._cells(record)

    def _cells(self, record: Record) -> list[str]:
        """Return the cells of one record of text."""
        if self.source.format in TABLES:
            fields = record.fields or {}
            return [fields.get(name, "") for name in self.names]
        return [record.text, record.id] if "smiles" in self.names else [record.id]

    def _parquet_rows(self) -> Iterator[Sequence[Any]]:
        """Yield the values of every row of a Parquet file."""
        with open_parquet(self.source.raw) as table:
            for batch in table.iter_batches(batch_size=BATCH_ROWS):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def free_names(wanted: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Return names that the input does not have yet: those wanted, with a number where they are taken."""
    found: list[str] = []
    for name in wanted:
        number, free = 1, name
        while free in taken or free in found:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found
