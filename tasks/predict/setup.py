"""From a request to a job: input opened, fine-tuned model loaded and checked against it, output format settled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bio_xlstm.records import RecordSource
from bio_xlstm.records.formats import TABLES
from bio_xlstm.records.reader import column_names
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.catalogue import summarise
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype
from bio_xlstm.tasks.files.opening import (
    Say,
    batch_tokens,
    check_kind,
    describe,
    open_source,
    preparation_for,
    with_known_kind,
)
from bio_xlstm.tasks.files.places import check_output
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.finetune.columns import column_names as predicted_names
from bio_xlstm.tasks.finetune.columns import write_cells
from bio_xlstm.tasks.finetune.directory import Finetuned, finetuned_hash, load_finetuned, read_about
from bio_xlstm.tasks.predict.assemble import numbers_in, predict_unit
from bio_xlstm.tasks.predict.compute import Predictor
from bio_xlstm.tasks.predict.input_columns import InputColumns
from bio_xlstm.tasks.predict.job import TableJob, choose_format
from bio_xlstm.tasks.predict.request import PredictRequest
from bio_xlstm.tasks.predict.result import Header
from bio_xlstm.tasks.writers.part import Part


@dataclass(frozen=True, kw_only=True)
class PredictJob(TableJob):
    """Hold everything that is settled before the first record is predicted."""

    request: PredictRequest
    worker: Predictor

    def compute(self, ready: Sequence[Ready]) -> Part:
        """Predict for the rows of one unit."""
        return predict_unit(ready, self.worker, self.request.on_error, self.source.name)


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


def make_header(source: RecordSource, tuned: Finetuned, say: Say) -> Header:
    """Name the columns of the output; those that the input has already get a number."""
    task, threshold = tuned.task, tuned.domain.threshold
    wanted = predicted_names(task, tuned.trust, uncertain=_uncertain(tuned))
    return Header.of(
        InputColumns.of(source),
        wanted,
        texts=[name for name in wanted if _is_text(name, task)],
        write=lambda part: write_cells(task, numbers_in(part), threshold),
        letters=task.name == "per_token",
        say=say,
    )


def _open_source(request: PredictRequest, column: str) -> RecordSource:
    """Open the input; its sequences are in the column of the training data where it has one of that name."""
    source = open_source(request)
    if request.column is not None or source.format not in TABLES:
        return source
    if column not in column_names(source.raw, source.format):
        return source
    # not opened again: standard input can be read once
    named = RecordSource(source.raw, source.path, source.format, request.kind, column)
    return with_known_kind(named, request)


def _uncertain(tuned: Finetuned) -> bool:
    """Tell whether the model knows how uncertain it is."""
    if not tuned.task.numeric:
        return True
    return any(bool(member.head.spread.numel()) for member in tuned.members)


def _is_text(name: str, task: Task) -> bool:
    """Tell whether a column holds text."""
    return name == "in_domain" or (name.startswith("predicted_") and not task.numeric)
