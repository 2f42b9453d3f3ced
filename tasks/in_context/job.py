"""From a request to a job: learner loaded, support or state read, input opened and checked against them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bio_xlstm.in_context.learner import Learner
from bio_xlstm.records import RecordSource
from bio_xlstm.tasks.catalogue import summarise
from bio_xlstm.tasks.device import dtype_name
from bio_xlstm.tasks.files.opening import batch_tokens, describe, open_source, preparation_for
from bio_xlstm.tasks.files.outcome import Outcome
from bio_xlstm.tasks.files.places import check_output, check_place
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.run import run_job, silent
from bio_xlstm.tasks.generate.streams import Kept, kept
from bio_xlstm.tasks.in_context.columns import column_names, text_columns, write_cells
from bio_xlstm.tasks.in_context.compute import Answerer, answer_unit
from bio_xlstm.tasks.in_context.kinds import check_library, check_state
from bio_xlstm.tasks.in_context.learners import learner_for_state, learner_for_support, load_learner
from bio_xlstm.tasks.in_context.opening import Opened, Say, open_state, open_support
from bio_xlstm.tasks.in_context.point_file import PointFile
from bio_xlstm.tasks.in_context.request import InContextRequest
from bio_xlstm.tasks.in_context.trust import fewest_for
from bio_xlstm.tasks.predict.input_columns import InputColumns
from bio_xlstm.tasks.predict.job import TableJob, choose_format
from bio_xlstm.tasks.predict.result import Header
from bio_xlstm.tasks.writers.part import Part


@dataclass(frozen=True, kw_only=True)
class InContextJob(TableJob):
    """Hold everything that is settled before the first record is predicted."""

    request: InContextRequest
    worker: Answerer
    points: PointFile | None = None
    """where the rows of units are kept encoded; the sequences of `example` are not"""

    def compute(self, ready: Sequence[Ready]) -> Part:
        """Predict for the rows of one unit."""
        worker = replace(self.worker, points=self.points)
        return answer_unit(ready, worker, self.request.on_error, self.source.name)

    def example(self, length: int) -> np.ndarray:
        """Return what every kind can read: carbons, cysteines or cytosines."""
        ids: np.ndarray = self.model.tokenizer.prepare("C" * length).ids
        return ids


def predict_in_context(request: InContextRequest, say: Say = silent) -> Outcome:
    """Predict for every record of a file from labelled examples; messages go to `say`.

    A run that was killed goes on where it stopped. Raises InputError, ModelError, ConfigError, OutputError, and
    SequenceError with on_error="fail".

    Example::

        support = SupportOptions(support="labelled.csv")
        predict_in_context(InContextRequest(support=support, input="new.smi", output="predictions.csv"))
    """
    return run_job(open_job(request, say), say)


def open_job(request: InContextRequest, say: Say) -> InContextJob:
    """Check a request from end to end, load the learner and read the support; raises before any query is read.

    InputError, ModelError, ConfigError and OutputError say what does not fit.
    """
    check_output(request)
    given = request.state or (request.support.support if request.support else "-")
    check_place(given, request.output, request.command, request.overwrite)
    form = choose_format(request.output, request.format)
    with kept(request.support.support if request.support else None) as held:
        asked = request.model
        name = asked or _learner_for(request, held, say)
        kind = summarise(name).kind
        check_state(request, kind)
        request = replace(request, model=name)
        source = open_source(request)
        check_library(source, kind, request, asked, held.path if held else None)
        learner = load_learner(name, device=request.device, dtype=request.dtype, backend=request.backend)
        points = None
        if request.points is not None:
            points = PointFile(request.points, learner, dtype_name(request.dtype))
            points.check()
        opened = _opened(learner, request, held, asked, say)
    language_model = learner.language_model
    budget = batch_tokens(request, language_model)
    worker = _worker(opened, request, budget, say)
    provenance = describe(request, source, language_model, name, form, budget)
    provenance = replace(
        provenance,
        model=learner.name,
        weight_hash=opened.assay.state.model_hash,
        options={**provenance.options, **_origin(request, opened)},
    )
    return InContextJob(
        request=request,
        source=source,
        worker=worker,
        points=points,
        preparation=preparation_for(request, language_model),
        form=form,
        provenance=provenance,
        header=_header(source, worker, say),
    )


def _learner_for(request: InContextRequest, held: Kept | None, say: Say) -> str:
    """Name the bundled learner for the support, or the state, of a request."""
    if request.support is None or held is None:
        return learner_for_state(str(request.state))
    column = request.support.support_column
    return learner_for_support(held.path, column, request.kind, lambda line: say(held.renamed(line)))


def _opened(
    learner: Learner, request: InContextRequest, held: Kept | None, asked: str | None, say: Say
) -> Opened:
    """Read the support, or the state, of a request; the learner was asked for, or is that of --kind or the support."""
    if request.support is None or held is None:
        return open_state(learner, str(request.state), say)
    chooser = "--kind" if asked is None and request.kind is not None else "-m"
    return open_support(learner, request.support, held, say, chooser)


def _worker(opened: Opened, request: InContextRequest, budget: int, say: Say) -> Answerer:
    """Make what computes, and say what it cannot promise."""
    assay = opened.assay
    intervals = assay.intervals(request.coverage)
    if assay.task.numeric and intervals.radius != intervals.radius:
        say(
            f"note     intervals of {request.coverage:.0%} need {fewest_for(request.coverage)} measured examples "
            "(bounds do not count): lower and upper stay empty"
        )
    model = assay.learner.language_model
    return Answerer(model=model, batch_tokens=budget, assay=assay, intervals=intervals)


def _origin(request: InContextRequest, opened: Opened) -> dict[str, str]:
    """Name what decides the predictions beside the options that all commands have."""
    mark = opened.fingerprint[:12]
    if request.support is None:
        return {"--state": mark}
    options = request.support
    return {
        "--support": mark,
        "--support-column": str(options.support_column),
        "--target": str(options.target),
        "--relation-column": str(options.relation_column),
        "--task": str(options.task),
    }


def _header(source: RecordSource, worker: Answerer, say: Say) -> Header:
    """Name the columns of the output."""
    assay = worker.assay
    return Header.of(
        InputColumns.of(source),
        column_names(assay),
        texts=text_columns(assay),
        write=lambda part: write_cells(assay, part),
        say=say,
    )
