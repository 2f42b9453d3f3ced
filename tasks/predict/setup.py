"""From a request to a job: input opened, fine-tuned model loaded and checked against it, output format settled."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TextIO

from bio_xlstm.records import RecordSource
from bio_xlstm.records.formats import TABLES
from bio_xlstm.records.reader import column_names
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.catalogue import summarise
from bio_xlstm.tasks.choices import PREDICT_FORMATS
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype
from bio_xlstm.tasks.files.job import ROW_BYTES, FileJob
from bio_xlstm.tasks.files.opening import (
    Say,
    batch_tokens,
    check_kind,
    describe,
    open_source,
    preparation_for,
)
from bio_xlstm.tasks.files.places import check_output
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.finetune.columns import column_names as predicted_names
from bio_xlstm.tasks.finetune.directory import Finetuned, finetuned_hash, load_finetuned, read_about
from bio_xlstm.tasks.predict.assemble import predict_unit
from bio_xlstm.tasks.predict.compute import Predictor
from bio_xlstm.tasks.predict.input_columns import InputColumns, free_names
from bio_xlstm.tasks.predict.request import PredictRequest
from bio_xlstm.tasks.predict.result import Header, PredictResult
from bio_xlstm.tasks.predict.table import LOAD, WRITERS, PredictTable
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers import FORMATS, pick_format
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import Format
from bio_xlstm.tasks.writers.text import SEPARATORS

_NUMBER_BYTES, _TEXT_BYTES = 8, 12


@dataclass(frozen=True, kw_only=True)
class PredictJob(FileJob):
    """Hold everything that is settled before the first record is predicted."""

    smaller: ClassVar[str] = "--shard or .csv.gz"

    request: PredictRequest
    worker: Predictor
    header: Header

    def compute(self, ready: Sequence[Ready]) -> Part:
        """Predict for the rows of one unit."""
        return predict_unit(ready, self.worker, self.request.on_error, self.source.name)

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
        if self.header.task.name == "per_token":
            numbers += self.survey.letters
        output = rows + self.survey.letters + numbers * _TEXT_BYTES
        return output, rows + numbers * _NUMBER_BYTES

    def planned(self) -> str:
        """Say what the output will hold."""
        return f"{self.survey.records:,} rows with {len(self.header.predicted)} new columns"


def open_job(request: PredictRequest, say: Say) -> PredictJob:
    """Check a request from end to end and load the model; raises before any work is done.

    InputError, ModelError, ConfigError and OutputError say what does not fit.
    """
    check_output(request)
    form = choose_format(request.output, request.format)
    about = read_about(request.model)
    source = _open_source(request, str(about.get("sequence_column", "")))
    check_kind(source, summarise(request.model), request)
    tuned = load_finetuned(
        request.model, device=choose_device(request.device), dtype=choose_dtype(request.dtype)
    )
    choose_backend(request.backend, tuned.model.device, tuned.model.dtype)
    for member in tuned.members:
        member.model.use_backend(request.backend)
    budget = batch_tokens(request, tuned.model)
    provenance = describe(request, source, tuned.model, request.model, form, budget)
    return PredictJob(
        request=request,
        source=source,
        worker=Predictor(model=tuned.model, batch_tokens=budget, tuned=tuned),
        preparation=preparation_for(request, tuned.model),
        form=form,
        provenance=replace(provenance, model=tuned.name, weight_hash=finetuned_hash(request.model)),
        header=make_header(source, tuned, say),
    )


def choose_format(output: str, name: str | None) -> Format:
    """Return the format that an output's suffix or an explicit name asks for; ConfigError where there is none."""
    form = pick_format(output, name, {known: FORMATS[known] for known in PREDICT_FORMATS})
    return replace(
        form, write=WRITERS[form.name], load_hint=lambda path, result: LOAD[form.name].format(path=path)
    )


def make_header(source: RecordSource, tuned: Finetuned, say: Say) -> Header:
    """Name the columns of the output; those that the input has already get a number."""
    columns, task = InputColumns.of(source), tuned.task
    wanted = predicted_names(task, tuned.trust, uncertain=_uncertain(tuned))
    free = free_names([*wanted, "status", "detail"], columns.names)
    renamed = [f"{old} is written as {new}" for old, new in zip(wanted, free, strict=False) if old != new]
    if renamed:
        say(f"{source.name} has columns of these names: {', '.join(renamed)}")
    return Header(
        columns,
        tuple(free[:-2]),
        frozenset(place for place, name in enumerate(wanted) if _is_text(name, task)),
        (free[-2], free[-1]),
        task,
        tuned.domain.threshold,
    )


def _open_source(request: PredictRequest, column: str) -> RecordSource:
    """Open the input; its sequences are in the column of the training data where it has one of that name."""
    source = open_source(request)
    if request.column is not None or source.format not in TABLES:
        return source
    if column not in column_names(source.raw, source.format):
        return source
    return open_source(replace(request, column=column))


def _uncertain(tuned: Finetuned) -> bool:
    """Tell whether the model knows how uncertain it is."""
    if not tuned.task.numeric:
        return True
    return any(bool(member.head.spread.numel()) for member in tuned.members)


def _is_text(name: str, task: Task) -> bool:
    """Tell whether a column holds text."""
    return name == "in_domain" or (name.startswith("predicted_") and not task.numeric)
