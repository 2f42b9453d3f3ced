"""The job: everything that is settled before the first variant is read, and what is made of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, TextIO

from bio_xlstm.records import Record
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.tasks.files.job import ROW_BYTES, FileJob
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.units import UNIT_RECORDS, Survey
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.variants.agreement import agreement_of, agreement_path, store_agreement
from bio_xlstm.tasks.variants.assemble import compare_unit
from bio_xlstm.tasks.variants.compute import VariantWorker
from bio_xlstm.tasks.variants.heatmap import draw_heatmap
from bio_xlstm.tasks.variants.request import VariantRequest
from bio_xlstm.tasks.variants.result import VariantResult, own_names
from bio_xlstm.tasks.variants.source import VariantSource
from bio_xlstm.tasks.variants.tables import VariantTable
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.text import SEPARATORS

# bytes of a number in a part and, written out, in a table
_NUMBER_BYTES, _TEXT_BYTES = 8, 14
# letters of a unit: variants of one wild type share more the more of them come together
_UNIT_LETTERS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class VariantJob(FileJob):
    """Hold everything that is settled before the first variant is read."""

    smaller: ClassVar[str] = "--shard or --limit"

    request: VariantRequest
    source: VariantSource
    worker: VariantWorker
    names: tuple[str, ...]
    measured: tuple[str | None, str | None]
    copies: Mapping[str, RawFile]
    """Copies of standard input and pipes, which go when the job goes."""

    def compute(self, ready: Sequence[Ready]) -> Part:
        """Compare the variants of one unit with their wild types."""
        return compare_unit(ready, self.worker, self.names, self.request.on_error, self.source.name)

    def result(
        self, provenance: Provenance, facts: Mapping[str, int], read_parts: Callable[[], Iterable[Part]]
    ) -> VariantResult:
        """Describe finished parts for the writers."""
        return VariantResult(self.source, self.names, provenance, facts, lambda: iter(read_parts()))

    def table(self, stream: TextIO) -> VariantTable:
        """Begin a table on standard output."""
        return VariantTable(stream, self.source, self.names, SEPARATORS[self.form.name])

    def units(self) -> Iterator[list[Record]]:
        """Yield the units of work: what a model would read of them is about equal."""
        unit: list[Record] = []
        letters = 0
        for record in self.records():
            more = self.source.letters(record)
            if unit and (letters + more > _UNIT_LETTERS or len(unit) == UNIT_RECORDS):
                yield unit
                unit, letters = [], 0
            unit.append(record)
            letters += more
        if unit:
            yield unit

    @cached_property
    def survey(self) -> Survey:
        """Count the variants of this run, and the letters that they would make a model read one by one."""
        count = letters = longest = names = 0
        for record in self.records():
            more = self.source.letters(record)
            count, letters, longest = count + 1, letters + more, max(longest, more)
            names += sum(len(text.encode()) + 1 for text in (record.fields or {}).values())
        return Survey(count, letters, longest, names)

    def sizes(self) -> tuple[int, int]:
        """Estimate the bytes of the output, and of the parts that lie beside it until it is complete."""
        rows, numbers = self.survey.records * ROW_BYTES, self.survey.records * len(self.names)
        text = self.form.name in SEPARATORS
        output = rows + self.survey.names + numbers * (_TEXT_BYTES if text else _NUMBER_BYTES)
        return output, rows + numbers * _NUMBER_BYTES

    def planned(self) -> str:
        """Say what the output will hold."""
        return f"{self.survey.records:,} variants of {len(self.names)} numbers"

    def conclude(self) -> tuple[str, ...]:
        """Compare with what was measured, and draw the scan."""
        lines = []
        output = Path(self.request.output)
        *numbers, status, _ = own_names(self.source.columns, self.names)
        if self.measured[0] is not None and self.form.name != "vcf":
            names = (self.measured[0], self.measured[1])
            agreement = agreement_of(output, self.form.name, numbers[0], status, names)
            store_agreement(agreement, output)
            lines.append(f"{agreement.line()}: {agreement_path(output)}")
        if self.request.heatmap is not None:
            picture = Path(self.request.heatmap)
            lines.append(
                draw_heatmap(output, self.form.name, numbers[0], self.model.kind, picture, self.model.name)
            )
        return tuple(lines)
