"""The run of a job: units through the model into parts, parts into the final file."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from bio_xlstm.tasks.files.estimate import check_disk
from bio_xlstm.tasks.files.job import FileJob
from bio_xlstm.tasks.files.outcome import Outcome, describe_file, describe_table
from bio_xlstm.tasks.files.prepare import Ready, Unit, choose_workers, prepared_units
from bio_xlstm.tasks.journal import Journal
from bio_xlstm.tasks.parts_folder import discard_parts
from bio_xlstm.tasks.progress import Progress
from bio_xlstm.tasks.writers.issues import store_issues
from bio_xlstm.tasks.writers.part import Part, read_part, sum_facts, write_part
from bio_xlstm.tasks.writers.result import RowResult
from bio_xlstm.tasks.writers.text import SEPARATORS, store_record

Say = Callable[[str], None]


def silent(line: str) -> None:
    """Say nothing."""


def run_job(job: FileJob, say: Say = silent) -> Outcome:
    """Do the work that a job has settled.

    A run that was killed goes on where it stopped, and its output has the bytes of an undisturbed run.
    """
    if job.request.output == "-":
        return _to_stdout(job)
    output = Path(job.request.output)
    record = job.finished()
    if record is not None:
        discard_parts(output)
        say(f"{output} is already complete; --overwrite makes it anew")
        return _concluded(job, describe_file(job.result(job.provenance, record, list), job.form, output))
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
    return _concluded(job, describe_file(result, job.form, output))


def _concluded(job: FileJob, outcome: Outcome) -> Outcome:
    """Add what the job makes of a complete output."""
    return outcome._replace(lines=(*outcome.lines, *job.conclude()))


def _do_units(job: FileJob, journal: Journal) -> None:
    """Compute every unit whose part is not there yet."""
    with Progress(job.request.command, job.survey.records, quiet=job.request.quiet) as progress:
        for number, ready in _prepared(job, _missing(job, journal, progress)):
            part = job.compute(ready)
            journal.add(number, _writer(part), part.facts())
            progress.advance(len(ready))


def _missing(job: FileJob, journal: Journal, progress: Progress) -> Iterator[Unit]:
    """Yield the units without a part, with their numbers."""
    for number, records in enumerate(job.units()):
        if number in journal.parts:
            progress.advance(len(records), skipped=True)
        else:
            yield number, records


def _writer(part: Part) -> Callable[[IO[bytes]], None]:
    return lambda file: write_part(part, file)


def _prepared(job: FileJob, units: Iterable[Unit]) -> Iterator[tuple[int, list[Ready]]]:
    workers = choose_workers(
        job.request.workers,
        chemistry=job.preparation.chemistry,
        device=job.provenance.device,
        records=job.survey.records,
    )
    return prepared_units(units, job.preparation, workers)


def _collected(job: FileJob, journal: Journal) -> RowResult:
    """Describe the finished parts for the writers."""
    parts = journal.ordered()
    facts = sum_facts(part.facts for part in parts)
    return job.result(journal.provenance, facts, lambda: (read_part(part.path) for part in parts))


def _store(job: FileJob, result: RowResult, path: Path) -> None:
    """Write the final file to `path`, and what lies beside it under the names that follow from the output's."""
    output = Path(job.request.output)
    store_issues(result, output)
    job.form.write(result, path)
    if job.form.name in SEPARATORS:
        store_record(result, output)


def _to_stdout(job: FileJob) -> Outcome:
    """Write the rows as a table to standard output, unit by unit; nothing is kept for a later run."""
    table = job.table(sys.stdout)
    facts: list[Mapping[str, int]] = []
    with Progress(job.request.command, job.survey.records, quiet=job.request.quiet) as progress:
        for _, ready in _prepared(job, enumerate(job.units())):
            part = job.compute(ready)
            table.add(part)
            sys.stdout.flush()
            facts.append(part.facts())
            progress.advance(len(ready))
    return describe_table(job.result(job.provenance, sum_facts(facts), list))
