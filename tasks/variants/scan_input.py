"""A full scan: every exchange of one letter of every sequence of a file."""

from collections.abc import Iterator
from dataclasses import dataclass

from bio_xlstm.records import Record
from bio_xlstm.tasks.variants.source import VariantSource
from bio_xlstm.tokenizers.tokenizer import Tokenizer
from bio_xlstm.variants.mutations import LETTERS, single_substitutions

ID, MUTANT, POSITION, WILD, NEW = "id", "mutant", "position", "wild_type", "substitution"


@dataclass(frozen=True)
class ScanSource(VariantSource):
    """Yield a record per substitution; its text is the wild type.

    Letters that stand for several (X, N) are not exchanged. A sequence that cannot be read, or has nothing to
    exchange, is one record.
    """

    tokenizer: Tokenizer

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of a scan."""
        return (ID, MUTANT, POSITION, WILD, NEW)

    def __iter__(self) -> Iterator[Record]:
        """Yield the substitutions of one sequence after the other."""
        row = 0
        for record in self.file:
            for found in self._of(record):
                yield found._replace(row=row)
                row += 1

    def _of(self, record: Record) -> Iterator[Record]:
        """Yield the substitutions of one sequence."""
        ids = self.tokenizer.prepare(record.text).ids if record.status == "ok" else ()
        wild = self.tokenizer.decode(ids) if len(ids) else ""
        mutations = single_substitutions(wild, LETTERS[self.tokenizer.kind])
        for mutation in mutations:
            cells = (record.id, str(mutation), str(mutation.position), mutation.wild, mutation.mutant)
            fields = dict(zip(self.columns, cells, strict=True))
            yield record._replace(text=wild, fields=fields)
        if not mutations:
            fields = dict.fromkeys(self.columns, "") | {ID: record.id}
            yield record._replace(fields=fields)

    def letters(self, record: Record) -> int:
        """Return the length of the wild type."""
        return len(record.text)
