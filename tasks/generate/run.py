"""The generate run: tries in units through the model, judged, journaled, and the accepted ones written."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO

from bio_xlstm.tasks.files.opening import Say
from bio_xlstm.tasks.generate.acceptance import Acceptance
from bio_xlstm.tasks.generate.candidate import Candidate, read_candidates, write_candidates
from bio_xlstm.tasks.generate.outcome import LEFT_OUT, Outcome, describe
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.generate.setup import Job, open_job
from bio_xlstm.tasks.generate.ways import samples_of
from bio_xlstm.tasks.generate.writing import Table, left_out, store_table, write_table
from bio_xlstm.tasks.journal import Journal, store_file
from bio_xlstm.tasks.parts_folder import discard_parts
from bio_xlstm.tasks.progress import Progress
from bio_xlstm.tasks.writers.result import beside_record

Units = Generator[tuple[int, list[Candidate]], None, None]


def _silent(line: str) -> None:
    """Say nothing."""


def generate_file(request: GenerateRequest, say: Say = _silent) -> Outcome:
    """Draw sequences and write them to a file, or to standard output; messages go to `say`.

    A run that was killed goes on where it stopped, and its output has the bytes of an undisturbed run. Raises
    InputError, ModelError, ConfigError and OutputError.

    Example::

        generate_file(GenerateRequest(model="chem-small", count=100, output="new.csv", valid_only=True))
    """
    return run_job(open_job(request, say), say)


def run_job(job: Job, say: Say = _silent) -> Outcome:
    """Do the work that `open_job` has settled."""
    acceptance = Acceptance(job.request.wanted, unique=job.request.unique, excluded=job.excluded)
    if job.request.output == "-":
        return _to_stdout(job, acceptance)
    output = Path(job.request.output)
    record = job.finished()
    if record is not None:
        discard_parts(output)
        say(f"{output} is already complete; --overwrite makes it anew")
        # it was not written now
        found = describe(job, record)
        return found._replace(lines=found.lines[1:])
    options = {"resume": job.request.resume, "overwrite": job.request.overwrite}
    with Journal(output, job.provenance, **options) as journal:
        _leave_out_torn(job, journal)
        if journal.parts:
            say(f"continuing: {journal.total('tries'):,} sequences were drawn before")
        _do_units(job, journal, acceptance)
        table = _table(job, acceptance)
        counts = _counts(job, acceptance, table)
        journal.finish(partial(_store, job, journal, table, counts))
    return describe(job, counts)


def _leave_out_torn(job: Job, journal: Journal) -> None:
    """Leave out units that had another size, as --max-tries was another."""
    # a beam may find less than was asked for, and its tries are always as many
    if job.request.beam is None:
        for unit in list(journal.parts):
            if journal.parts[unit].facts["tries"] != _size(job, unit):
                del journal.parts[unit]


def _size(job: Job, unit: int) -> int:
    """Return how many tries a unit has."""
    return max(min(job.unit, job.request.most_tries - unit * job.unit), 0)


def _do_units(job: Job, journal: Journal, acceptance: Acceptance) -> None:
    """Draw unit after unit until enough candidates are accepted, or all tries are done."""
    with Progress("generate", job.request.wanted, quiet=job.request.quiet) as progress:
        following = _take(journal, acceptance, progress, 0, before=True)
        if acceptance.full:
            return
        with closing(_units(job, lambda unit: unit in journal.parts)) as units:
            for unit, candidates in units:
                journal.add(unit, _writer(candidates), {"tries": len(candidates)})
                following = _take(journal, acceptance, progress, following)
                if acceptance.full:
                    return


def _take(
    journal: Journal, acceptance: Acceptance, progress: Progress, following: int, *, before: bool = False
) -> int:
    """Look at the units that are done, from the following one on as far as they are whole; return the next."""
    while following in journal.parts and not acceptance.full:
        held = len(acceptance.taken)
        acceptance.add(read_candidates(journal.parts[following].path))
        progress.advance(len(acceptance.taken) - held, skipped=before)
        following += 1
    return following


def _units(job: Job, done: Callable[[int], bool]) -> Units:
    """Draw the units that are not done; yield each when its last sequence has ended."""
    most, size = job.request.most_tries, job.unit
    held: dict[int, list[Candidate]] = {}

    def numbers() -> Iterator[int]:
        for unit in count():
            if unit * size >= most:
                return
            if not done(unit):
                yield from range(unit * size, min((unit + 1) * size, most))

    for sample in samples_of(job, numbers()):
        unit = sample.number // size
        candidates = held.setdefault(unit, [])
        candidates.append(job.candidate(sample))
        if len(candidates) == _size(job, unit):
            yield unit, sorted(held.pop(unit))
    # a beam may find less than was asked for
    for unit in sorted(held):
        yield unit, sorted(held[unit])


def _writer(candidates: list[Candidate]) -> Callable[[IO[bytes]], None]:
    return lambda file: write_candidates(candidates, file)


def _table(job: Job, acceptance: Acceptance) -> Table:
    """Bring what was accepted into the order of the output."""
    request, rows = job.request, acceptance.taken
    sort = (
        request.sort if request.sort != "auto" else "perplexity" if job.model.kind == "protein" else "index"
    )
    if sort == "perplexity" or request.kept is not None:
        best = sorted(rows, key=lambda row: (row.candidate.perplexity, row.candidate.number))[: request.kept]
        rows = best if sort == "perplexity" else sorted(best, key=lambda row: row.candidate.number)
    return Table(rows, request.seed, job.properties)


def _counts(job: Job, acceptance: Acceptance, table: Table) -> dict[str, int]:
    """Return what is written down about the run, and which of the rows the format cannot hold."""
    lost = left_out(job.form, table.rows)
    return acceptance.counts() | ({LEFT_OUT: lost} if lost else {})


def _store(job: Job, journal: Journal, table: Table, counts: dict[str, int], path: Path) -> None:
    """Write the final file to `path`, and its record beside the output."""
    store_table(job.form, table, path)
    record = journal.provenance.to_json(max_tries=job.request.most_tries, **counts) + "\n"
    store_file(beside_record(Path(job.request.output)), lambda file: file.write(record.encode()))


def _to_stdout(job: Job, acceptance: Acceptance) -> Outcome:
    """Write what is accepted to standard output; nothing is kept for a later run."""
    waiting: dict[int, list[Candidate]] = {}
    with Progress("generate", job.request.wanted, quiet=job.request.quiet) as progress:
        following = 0
        with closing(_units(job, lambda unit: False)) as units:
            for unit, candidates in units:
                waiting[unit] = candidates
                held = len(acceptance.taken)
                while following in waiting:
                    acceptance.add(waiting.pop(following))
                    following += 1
                progress.advance(len(acceptance.taken) - held)
                if acceptance.full:
                    break
    table = _table(job, acceptance)
    write_table(job.form, table, sys.stdout)
    sys.stdout.flush()
    return describe(job, _counts(job, acceptance, table))
