"""From a request to a job: input and wild types opened, model and context settled, options checked against them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bio_xlstm.errors import BioXlstmError, OutputError
from bio_xlstm.records import open_records
from bio_xlstm.records.formats import TABLES
from bio_xlstm.records.rawfile import RawFile, is_stream
from bio_xlstm.records.reader import column_names
from bio_xlstm.scoring import STRIDE, check_score
from bio_xlstm.tasks.files.opening import Say, batch_tokens, describe, open_input
from bio_xlstm.tasks.files.places import check_output
from bio_xlstm.tasks.parts_folder import parts_folder
from bio_xlstm.tasks.score.setup import check_options, open_state, other_files
from bio_xlstm.tasks.variants.assemble import number_names
from bio_xlstm.tasks.variants.compute import VariantWorker
from bio_xlstm.tasks.variants.formats import choose_format
from bio_xlstm.tasks.variants.inputs import open_source
from bio_xlstm.tasks.variants.job import VariantJob
from bio_xlstm.tasks.variants.request import VariantRequest
from bio_xlstm.tasks.variants.source import VariantSource
from bio_xlstm.tasks.variants.table_input import check_list, check_wildtype, find_columns, pick
from bio_xlstm.tasks.variants.words import MEASURED, MEASURED_BIN
from bio_xlstm.tasks.writers.result import Format
from bio_xlstm.variants.ratios import choose_method

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel


def open_job(request: VariantRequest, say: Say) -> VariantJob:
    """Check a request from end to end, load the model and read the context; raises before any work is done.

    InputError, ModelError, ConfigError and OutputError say what does not fit.
    """
    check_output(request)
    _check_picture(request)
    form = choose_format(request.output, request.format, vcf=request.genome is not None)
    request, copies = _kept(request)

    def rename(text: str) -> str:
        for path, raw in copies.items():
            text = text.replace(path, raw.name)
        return text

    try:
        return _open_job(request, form, copies, lambda line: say(rename(line)))
    except BioXlstmError as error:
        raise type(error)(rename(str(error))) from None


def _open_job(request: VariantRequest, form: Format, copies: Mapping[str, RawFile], say: Say) -> VariantJob:
    """Do so for a request whose files can be read several times."""
    _, name, model = open_input(_about_letters(request), say)
    check_options(request, model)
    choose_method(model, request.method)
    state = open_state(request, model, say)
    budget, stride = batch_tokens(request, model), request.stride or STRIDE
    rc = "average" if _reads_both(request, model) else request.rc
    strands = check_score(
        model, direction=request.direction, rc=rc, stride=stride, state=state, batch_tokens=budget
    )
    source, preparation, compared = open_source(request, model)
    source.file.name = copies[request.input].name if request.input in copies else source.name
    worker = VariantWorker(
        model=model,
        batch_tokens=budget,
        method=request.method,
        direction=request.direction,
        rc=rc,
        stride=stride,
        state=state,
    )
    provenance = describe(request, source.file, model, name, form, budget)
    return VariantJob(
        request=request,
        source=source,
        worker=worker,
        preparation=preparation,
        form=form,
        provenance=replace(provenance, options={**provenance.options, **_files(request)}),
        names=number_names(compared=compared, strands=strands),
        measured=_measured(request, source),
        copies=copies,
    )


def _kept(request: VariantRequest) -> tuple[VariantRequest, Mapping[str, RawFile]]:
    """Copy standard input and pipes to files, by whose paths they can be read several times."""
    # there is no chemistry that others could check meanwhile
    request = replace(request, workers=0)
    copies = {}
    for option in ("input", "wildtype", "genome"):
        path = getattr(request, option)
        if path is not None and (path == "-" or is_stream(path)):
            raw = RawFile(path)
            copies[raw.path] = raw
            changed: dict[str, Any] = {option: raw.path}
            request = replace(request, **changed)
    return request, copies


def _about_letters(request: VariantRequest) -> VariantRequest:
    """Ask about the file that shows which letters the model has to read."""
    if request.genome is not None:
        return replace(request, input=request.genome, kind="dna", column=None, input_format=None)
    if request.wildtype is not None:
        return replace(request, input=request.wildtype, column=None, input_format=None)
    # which kind it is does not matter yet
    file = open_records(request.input, kind="protein", input_format=request.input_format)
    if request.scan:
        return request
    if file.format not in TABLES:
        check_list(file)
        return request
    found = find_columns(column_names(RawFile(file.path), file.format), request, file.name)
    check_wildtype(request, found)
    return replace(request, column=found.sequence or found.wild_sequence)


def _reads_both(request: VariantRequest, model: "SequenceModel") -> bool:
    """Tell whether variants of a genome are read on both strands, as they are unless told otherwise."""
    asked = request.rc == "auto" and request.direction == "forward" and request.genome is not None
    # an equivariant model sees both strands at once
    return asked and not model.config.equivariant


def _measured(request: VariantRequest, source: VariantSource) -> tuple[str | None, str | None]:
    """Find the columns of measured values and of classes."""
    values = pick(source.columns, request.measured, MEASURED, source.name)
    classes = pick(source.columns, request.measured_bin, MEASURED_BIN, source.name)
    # without numbers the classes are compared
    return (values, classes) if values is not None else (classes, classes)


def _files(request: VariantRequest) -> dict[str, str]:
    """Return the other files that are read, with their hashes, under the names of their options."""
    found = other_files(request)
    for option, path in (("--wildtype", request.wildtype), ("--genome", request.genome)):
        if path is not None:
            found[option] = f"{Path(path).name} ({open_records(path, kind='dna').fingerprint()[:12]})"
    return found


def _check_picture(request: VariantRequest) -> None:
    """Leave a picture of somebody else alone."""
    if request.heatmap is None:
        return
    picture, output = Path(request.heatmap), Path(request.output)
    if not picture.parent.is_dir():
        raise OutputError(f"{picture}: there is no folder {picture.parent}")
    ours = request.overwrite or output.exists() or parts_folder(output).exists()
    if picture.exists() and not ours:
        raise OutputError(f"{picture} exists, but no {output.name}; move it away or use --overwrite")
