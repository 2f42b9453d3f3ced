"""Run one evaluation: read, judge, write."""

import logging
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from bio_xlstm import __version__
from bio_xlstm.errors import ConfigError
from bio_xlstm.records import RecordSource
from bio_xlstm.tasks.device import choose_device
from bio_xlstm.tasks.evaluate import histograms, report
from bio_xlstm.tasks.evaluate.chemnet import has_chemnet
from bio_xlstm.tasks.evaluate.evaluation import Evaluation
from bio_xlstm.tasks.evaluate.facts import read_flat
from bio_xlstm.tasks.evaluate.grid import draw_molecules
from bio_xlstm.tasks.evaluate.inputs import (
    WORDS,
    Sources,
    generated_entries,
    open_sources,
    read_entries,
    reference_entries,
)
from bio_xlstm.tasks.evaluate.judge_molecules import gather, judge_molecules
from bio_xlstm.tasks.evaluate.judge_sequences import judge_sequences
from bio_xlstm.tasks.evaluate.places import (
    METRICS_CSV,
    METRICS_JSON,
    MOLECULES_PNG,
    PROPERTIES_PNG,
    RECORDS,
    check_output,
)
from bio_xlstm.tasks.evaluate.profile import has_pyhmmer, read_profile
from bio_xlstm.tasks.evaluate.request import GenerationRequest
from bio_xlstm.tasks.evaluate.spread import WORTHWHILE, choose_workers, spread
from bio_xlstm.tasks.journal import store_file
from bio_xlstm.tasks.writing import writing

log = logging.getLogger(__name__)

Say = Callable[[str], None]


def evaluate_generation(request: GenerationRequest, say: Say = log.info) -> Evaluation:
    """Evaluate generated sequences and write what was found.

    Raises InputError, ConfigError or OutputError before anything is computed where that is possible.
    """
    check_output(request)
    sources = open_sources(request)
    check_device(request, sources.kind)
    found = judge(request, sources, open_profile(request, sources.kind))
    with writing(Path(request.output)):
        write(found, provenance(request, sources), request)
    for line in (*report.summary(found.metrics), *_notes(found)):
        say(line)
    say("wrote to standard output" if request.output == "-" else f"written   {request.output}")
    return found


def open_profile(request: GenerationRequest, kind: str) -> Any:
    """Return the profile to score proteins with, None without one or where pyhmmer is missing."""
    if request.hmm is None:
        return None
    if kind != "protein":
        raise ConfigError(f"--hmm scores proteins, and {request.generated} holds {WORDS[kind]}")
    if not Path(request.hmm).is_file():
        raise ConfigError(f"--hmm {request.hmm}: no such file")
    return read_profile(request.hmm) if has_pyhmmer() else None


def check_device(request: GenerationRequest, kind: str) -> None:
    """Refuse a device that is not there, where one is needed."""
    if kind == "smiles" and request.fcd and has_chemnet():
        choose_device(request.device)


def judge(request: GenerationRequest, sources: Sources, profile: Any) -> Evaluation:
    """Read all inputs and measure."""
    entries = generated_entries(sources.generated, request.limit, request.workers)
    reference = None
    if sources.reference is not None:
        reference = reference_entries(sources.reference, request.compare, request.seed, request.workers)
    if sources.kind != "smiles":
        texts = {entry.form for entry in entries} - {""}
        known = None if sources.train is None else met(sources.train, texts, request.workers)
        return judge_sequences(entries, reference, known, request, sources.kind, profile)
    found = gather(entries, request, "generated")
    real = None if reference is None else gather(reference, request, "reference")
    flat = {facts.flat for facts in found.facts}
    known = None if sources.train is None else met(sources.train, flat, request.workers)
    return judge_molecules(entries, found, real, known, request)


def met(train: RecordSource, forms: set[str], workers: int | None) -> set[str]:
    """Return those of the forms that a training file holds; memory does not grow with the file."""
    return {form for form in _forms(train, workers) if form in forms}


def _forms(train: RecordSource, workers: int | None) -> Iterator[str]:
    """Yield the training molecules without stereo marks, or the training sequences."""
    if train.kind == "smiles":
        texts = (record.text.strip() for record in train)
        first = list(islice(texts, WORTHWHILE))
        yield from spread(read_flat, chain(first, texts), choose_workers(workers, len(first)))
        return
    yield from (entry.form for entry in read_entries(train, train.kind, 0))


def provenance(request: GenerationRequest, sources: Sources) -> dict[str, Any]:
    """Say what was evaluated against what; no clock, no host, so that equal work gives equal bytes."""
    named = {"generated": sources.generated, "reference": sources.reference, "train": sources.train}
    return {
        "command": "evaluate generation",
        "command_line": request.command_line,
        "code_version": __version__,
        "kind": sources.kind,
        "inputs": {
            role: {"file": source.path, "format": source.format, "sha256": source.fingerprint()}
            for role, source in named.items()
            if source is not None
        },
        "hmm": request.hmm,
        "seed": request.seed,
        "compared_at_most": request.compare,
    }


def write(found: Evaluation, made: dict[str, Any], request: GenerationRequest) -> None:
    """Write one file, all files of a folder, or JSON to standard output."""
    text = report.as_json(made, found.metrics)
    if request.output == "-":
        sys.stdout.write(text)
        return
    folder, output = request.folder, Path(request.output)
    if folder is None:
        _store(output, (report.as_csv(found.metrics) if output.suffix.lower() == ".csv" else text).encode())
        return
    folder.mkdir(parents=True, exist_ok=True)
    _store(folder / RECORDS, report.table(found.rows).encode())
    _draw(found, folder, request)
    _store(folder / METRICS_CSV, report.as_csv(found.metrics).encode())
    # the last file says that all are there
    _store(folder / METRICS_JSON, text.encode())


def _draw(found: Evaluation, folder: Path, request: GenerationRequest) -> None:
    """Draw what there is something to draw of; a picture of an earlier evaluation goes."""
    for name in (PROPERTIES_PNG, MOLECULES_PNG):
        (folder / name).unlink(missing_ok=True)
    if found.drawn:
        _store(folder / MOLECULES_PNG, draw_molecules(found.drawn))
    if not any(found.rows["valid"]):
        return
    title = f"{WORDS[found.kind]} of {Path(request.generated).name}"
    try:
        picture = histograms.draw_histograms(found.samples, found.shares, title)
    except ImportError:
        log.warning("%s is not drawn: it needs matplotlib (pip install 'bio-xlstm[plot]')", PROPERTIES_PNG)
        return
    _store(folder / PROPERTIES_PNG, picture)


def _store(path: Path, content: bytes) -> None:
    store_file(path, lambda file: file.write(content))


def _notes(found: Evaluation) -> list[str]:
    """Say once what could not be measured, and why."""
    missing: dict[str, list[str]] = {}
    for metric in found.metrics:
        if metric.value is None:
            missing.setdefault(metric.note, []).append(metric.metric)
    return [f"not measured: {_some(names)}: {why}" for why, names in missing.items()]


def _some(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
