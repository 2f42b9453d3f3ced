"""Run a few-shot evaluation: read, measure assay by assay, write. A run that was killed goes on where it stopped."""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bio_xlstm.errors import InputError, OutputError
from bio_xlstm.tasks.device import choose_device
from bio_xlstm.tasks.fewshot import report
from bio_xlstm.tasks.fewshot.groups import read_groups
from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.measure import measure_assay
from bio_xlstm.tasks.fewshot.methods.choose import METHODS
from bio_xlstm.tasks.fewshot.request import FewshotRequest
from bio_xlstm.tasks.fewshot.summary import Part, Row, summarise
from bio_xlstm.tasks.fewshot.table import Assays, read_assays
from bio_xlstm.tasks.files.places import check_place
from bio_xlstm.tasks.journal import Journal, file_hash
from bio_xlstm.tasks.progress import Progress
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tokenizers.tokenizer import counted

if TYPE_CHECKING:
    from bio_xlstm.in_context.model import InContextModel
    from bio_xlstm.models.model import SequenceModel

log = logging.getLogger(__name__)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """Hold what is settled before the first draw."""

    request: FewshotRequest
    assays: Assays
    library: Library
    groups: Mapping[str, str]
    provenance: Provenance


def evaluate_fewshot(request: FewshotRequest, say: Say = log.info) -> list[Row]:
    """Measure methods on small supports of many assays, and write what was found; return the table.

    Raises InputError, ConfigError, ModelError or OutputError in the user's words.

    Example::

        evaluate_fewshot(FewshotRequest(input="fsmol_valid.tsv.xz", output="fewshot.json", support=(16, 64)))
    """
    check_place(request.input, request.output, "evaluate fewshot", request.overwrite)
    if request.output != "-" and Path(request.output).exists() and not request.overwrite:
        raise OutputError(f"{request.output} exists; use --overwrite to replace it")
    job = open_job(request, say)
    if request.output == "-":
        parts = _measure(job, None)
        rows = summarise(parts, job.groups, request)
        sys.stdout.write(_text(job, parts, rows))
    else:
        with Journal(
            Path(request.output), job.provenance, resume=request.resume, overwrite=request.overwrite
        ) as journal:
            parts = _measure(job, journal)
            rows = summarise(parts, job.groups, request)
            text = _text(job, parts, rows)
            journal.finish(lambda path: _store_text(path, text))
    for line in report.summary(parts, rows, request):
        say(line)
    say("wrote to standard output" if request.output == "-" else f"written   {request.output}")
    return rows


def open_job(request: FewshotRequest, say: Say = log.info) -> Job:
    """Read the inputs and load the models."""
    learner = None
    if any(METHODS[name].learns for name in request.chosen):
        from bio_xlstm.in_context.directory import load_in_context

        # small enough for a CPU: it is the language model that --device is for
        learner = load_in_context(request.model)
    assays = read_assays(request)
    names = [assay.name for assay in assays.assays]
    groups: Mapping[str, str] = {}
    if request.groups is not None:
        groups, column = read_groups(request.groups, request.group_column, names)
        say(f"groups    {column} of {request.groups}")
    for line in _about(assays, request):
        say(line)
    encoder = cache(lambda: _encoder(request, learner))
    library = Library(assays.smiles, encoder, learner)
    return Job(request, assays, library, groups, _provenance(request, learner))


def _encoder(request: FewshotRequest, learner: "InContextModel | None") -> "SequenceModel":
    """Return the model whose embeddings are read: the learner's, else the bundled one for molecules."""
    from bio_xlstm.models.directory import default_model, load

    model = load(default_model("smiles")) if learner is None else learner.language_model
    return model.to(choose_device(request.device))


def _measure(job: Job, journal: Journal | None) -> list[Part]:
    """Measure every assay that an earlier run has not measured."""
    done: dict[int, Part] = {}
    for number, part in (journal.parts if journal else {}).items():
        done[number] = json.loads(part.path.read_text(encoding="utf-8"))
    total = sum(map(len, job.assays.assays))
    with Progress("evaluate fewshot", total, quiet=job.request.quiet) as progress:
        for number, assay in enumerate(job.assays.assays):
            skipped = number in done
            if not skipped:
                done[number] = measure_assay(assay, job.library, job.request)
                if journal is not None:
                    write = partial(_store_part, part=done[number])
                    journal.add(number, write, {"molecules": len(assay)})
            progress.advance(len(assay), skipped=skipped)
    parts = [done[number] for number in sorted(done)]
    _refuse_nothing(job, parts)
    return parts


def _refuse_nothing(job: Job, parts: list[Part]) -> None:
    """Raise InputError where no assay has a support of any size, with a reason."""
    if any(part["sizes"] for part in parts):
        return
    part = max(parts, key=lambda part: part["molecules"])
    reasons = "; ".join(f"{size}: {reason}" for size, reason in part["left_out"].items())
    raise InputError(f"{job.assays.source}: no assay is large enough ({part['assay']}: {reasons})")


def _store_part(file: IO[bytes], part: Part) -> None:
    file.write(json.dumps(part).encode())


def _store_text(path: Path, text: str) -> None:
    """Write a file."""
    path.write_text(text, encoding="utf-8")


def _text(job: Job, parts: list[Part], rows: list[Row]) -> str:
    if job.request.output.lower().endswith(".csv"):
        return report.as_csv(rows)
    return report.as_json(job.provenance, job.assays, parts, rows, job.groups, job.request)


def _about(assays: Assays, request: FewshotRequest) -> list[str]:
    """Say what was read, and what was left out."""
    counts = dict(assays.counts)
    rows = counts.pop("rows")
    chosen = assays.columns
    about = counted(len(assays.assays), "assay")
    lines = [
        f"{assays.source}: {about} ({chosen.assay}) of {chosen.target} in {rows:,} rows, "
        f"{len(assays.smiles):,} different molecules"
    ]
    lines += [f"left out  {_several(count, reason)}" for reason, count in counts.items() if count]
    return [*lines, *(f"note      {note}" for note in assays.notes)]


def _several(count: int, reason: str) -> str:
    """Write how many rows or molecules do not count, and why, in the singular where there is one."""
    if count == 1:
        first, _, rest = reason.partition(" ")
        reason = f"{_ONE.get(first, first)} {rest.replace('their', 'its')}"
    return f"{count:,} {reason}"


_ONE = {"queries": "query", "molecules": "molecule", "values": "value"}


def _provenance(request: FewshotRequest, learner: "InContextModel | None") -> Provenance:
    """Record what decides the numbers."""
    from bio_xlstm.tasks.catalogue import licence_in

    names = ("task", "assay_column", "column", "target", "relation_column", "split_column", "mark_column")
    options = {f"--{name.replace('_', '-')}": str(getattr(request, name) or "") for name in names}
    options |= {
        "--support": ",".join(map(str, request.sizes)),
        "--seeds": str(request.seeds),
        "--methods": ",".join(request.chosen),
        "--coverage": f"{request.coverage:g}",
    }
    return Provenance(
        command="evaluate fewshot",
        command_line=request.command_line,
        model="" if learner is None else learner.name,
        weight_hash="" if learner is None else learner.weight_hash(),
        licence="" if learner is None else licence_in(learner.card) or "not stated",
        backend="torch",
        dtype="fp32",
        device=choose_device(request.device),
        seed=request.seed,
        input=Path(request.input).name,
        input_sha256=file_hash(Path(request.input)) if Path(request.input).is_file() else "",
        options=options,
    )
