"""The embed run: units through the model into parts, parts into the final file."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from bio_xlstm.tasks.embed.assemble import embed_unit
from bio_xlstm.tasks.embed.estimate import check_disk
from bio_xlstm.tasks.embed.outcome import Outcome, describe_file, describe_table
from bio_xlstm.tasks.embed.prepare import Ready, Unit, choose_workers, prepared_units
from bio_xlstm.tasks.embed.request import EmbedRequest
from bio_xlstm.tasks.embed.setup import Job, Say, open_job
from bio_xlstm.tasks.journal import Journal
from bio_xlstm.tasks.parts_folder import discard_parts
from bio_xlstm.tasks.progress import Progress
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers.issues import store_issues
from bio_xlstm.tasks.writers.part import Part, read_part, sum_facts, write_part
from bio_xlstm.tasks.writers.result import Result
from bio_xlstm.tasks.writers.text import SEPARATORS, TableWriter, store_record


def _silent(line: str) -> None:
    """Say nothing."""


def embed_file(request: EmbedRequest, say: Say = _silent) -> Outcome:
    """Embed every record of a file into another file, or to standard output; messages go to `say`.

    A run that was killed goes on where it stopped, and its output has the bytes of an undisturbed run. Raises
    InputError, ModelError, ConfigError, OutputError, and SequenceError with on_error="fail".

    Example::

        embed_file(EmbedRequest(input="proteins.fasta", output="proteins.parquet"))
    """
    return run_job(open_job(request, say), say)


def run_job(job: Job, say: Say = _silent) -> Outcome:
    """Do the work that `open_job` has settled."""
    if job.request.output == "-":
        return _to_stdout(job)
    output = Path(job.request.output)
    record = job.finished()
    if record is not None:
        discard_parts(output)
        say(f"{output} is already complete; --overwrite makes it anew")
        return describe_file(_result(job, job.provenance, record, list), job.form, output)
    check_disk(job)
    with Journal(
        output, job.provenance, resume=job.request.resume, overwrite=job.request.overwrite
    ) as journal:
        if journal.parts:
            say(
                f"continuing: {len(journal.parts)} units with {journal.total('rows'):,} rows were done before"
            )
        _do_units(job, journal)
        result = _collected(job, journal)
        journal.finish(lambda path: _store(job, result, path))
    return describe_file(result, job.form, output)


def _do_units(job: Job, journal: Journal) -> None:
    """Embed every unit whose part is not there yet."""
    with Progress("embed", job.survey.records, quiet=job.request.quiet) as progress:
        for number, ready in _prepared(job, _missing(job, journal, progress)):
            part = _embed(job, ready)
            journal.add(number, _writer(part), part.facts())
            progress.advance(len(ready))


def _missing(job: Job, journal: Journal, progress: Progress) -> Iterator[Unit]:
    """Yield the units without a part, with their numbers."""
    for number, records in enumerate(job.units()):
        if number in journal.parts:
            progress.advance(len(records), skipped=True)
        else:
            yield number, records


def _writer(part: Part) -> Callable[[IO[bytes]], None]:
    return lambda file: write_part(part, file)


def _prepared(job: Job, units: Iterable[Unit]) -> Iterator[tuple[int, list[Ready]]]:
    workers = choose_workers(
        job.request.workers,
        chemistry=job.preparation.chemistry,
        device=job.provenance.device,
        records=job.survey.records,
    )
    return prepared_units(units, job.preparation, workers)


def _embed(job: Job, ready: list[Ready]) -> Part:
    request = job.request
    return embed_unit(
        ready, job.embedder, job.columns, request.store_dtype, request.on_error, job.source.name
    )


def _collected(job: Job, journal: Journal) -> Result:
    """Describe the finished parts for the writers."""
    parts = journal.ordered()
    facts = sum_facts(part.facts for part in parts)
    return _result(job, journal.provenance, facts, lambda: (read_part(part.path) for part in parts))


def _result(
    job: Job, provenance: Provenance, facts: Mapping[str, int], read_parts: Callable[[], Iterable[Part]]
) -> Result:
    return Result(
        job.columns,
        job.request.store_dtype,
        job.request.per_token,
        provenance,
        facts,
        lambda: iter(read_parts()),
    )


def _store(job: Job, result: Result, path: Path) -> None:
    """Write the final file to `path`, and what lies beside it under the names that follow from the output's."""
    output = Path(job.request.output)
    store_issues(result, output)
    job.form.write(result, path)
    if job.form.name in SEPARATORS:
        store_record(result, output)


def _to_stdout(job: Job) -> Outcome:
    """Write the rows as a table to standard output, unit by unit; nothing is kept for a later run."""
    table = TableWriter(sys.stdout, job.columns, SEPARATORS[job.form.name])
    facts: list[Mapping[str, int]] = []
    with Progress("embed", job.survey.records, quiet=job.request.quiet) as progress:
        for _, ready in _prepared(job, enumerate(job.units())):
            part = _embed(job, ready)
            table.add(part)
            sys.stdout.flush()
            facts.append(part.facts())
            progress.advance(len(ready))
    return describe_table(_result(job, job.provenance, sum_facts(facts), list))
