"""What jobs have in common whose output is the table of the input with columns more: its header, size and writers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, TextIO

from bio_xlstm.tasks.choices import PREDICT_FORMATS
from bio_xlstm.tasks.files.job import ROW_BYTES, FileJob
from bio_xlstm.tasks.predict.result import Header, PredictResult
from bio_xlstm.tasks.predict.table import LOAD, WRITERS, PredictTable
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers import FORMATS, pick_format
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import Format
from bio_xlstm.tasks.writers.text import SEPARATORS

_NUMBER_BYTES, _TEXT_BYTES = 8, 12


@dataclass(frozen=True, kw_only=True)
class TableJob(FileJob):
    """Hold everything that is settled before the first record is predicted; a subclass says what is computed."""

    smaller: ClassVar[str] = "--shard or .csv.gz"

    header: Header

    def result(
        self, provenance: Provenance, facts: Mapping[str, int], read_parts: Callable[[], Iterable[Part]]
    ) -> PredictResult:
        """Describe finished parts for the writers."""
        return PredictResult(self.header, provenance, facts, lambda: iter(read_parts()))

    def table(self, stream: TextIO) -> PredictTable:
        """Begin a table on standard output."""
        return PredictTable(stream, self.header, SEPARATORS[self.form.name])

    def sizes(self) -> tuple[int, int]:
        """Estimate the bytes of the output, and of the parts that lie beside it until it is complete."""
        rows = self.survey.records * ROW_BYTES + self.survey.names
        numbers = self.survey.records * len(self.header.predicted)
        if self.header.letters:
            numbers += self.survey.letters
        output = rows + self.survey.letters + numbers * _TEXT_BYTES
        return output, rows + numbers * _NUMBER_BYTES

    def planned(self) -> str:
        """Say what the output will hold."""
        return f"{self.survey.records:,} rows with {len(self.header.predicted)} new columns"


def choose_format(output: str, name: str | None) -> Format:
    """Return the format that an output's suffix or an explicit name asks for; ConfigError where there is none."""
    form = pick_format(output, name, {known: FORMATS[known] for known in PREDICT_FORMATS})
    return replace(
        form, write=WRITERS[form.name], load_hint=lambda path, result: LOAD[form.name].format(path=path)
    )
