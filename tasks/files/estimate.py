"""What a run will take: bytes on the disk and seconds, before it starts."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.files.job import FileJob
from bio_xlstm.tasks.parts_folder import parts_folder
from bio_xlstm.tasks.progress import duration, size

_MEASURED_TOKENS = 4096


class Estimate(NamedTuple):
    """Hold the bytes of the final file and of all files while the run lasts."""

    output: int
    peak: int


def estimate_size(job: FileJob) -> Estimate:
    """Estimate the size of the output, and of the parts that lie beside it until it is complete."""
    output, parts = job.sizes()
    return Estimate(output, output + parts)


def check_disk(job: FileJob) -> None:
    """Raise OutputError when the disk has too little room for the run."""
    output = Path(job.request.output)
    folder = output.parent
    # the parts of an earlier run take room that this one will not need again
    done = sum(path.stat().st_size for path in parts_folder(output).glob("*"))
    free, needed = shutil.disk_usage(folder).free, estimate_size(job).peak - done
    if needed > free:
        raise OutputError(
            f"{job.request.output} and its parts need about {size(needed)}, but {size(free)} are free in {folder}; "
            f"{job.smaller} need less"
        )


def measure_speed(job: FileJob) -> float:
    """Return tokens per second, measured on a few sequences of the input's average length."""
    length = max(1, job.survey.letters // max(job.survey.records, 1))
    length = min(length, _MEASURED_TOKENS)
    sequences = [job.example(length)] * max(1, min(_MEASURED_TOKENS // length, job.survey.records))
    job.worker(sequences[:1])
    begun = time.perf_counter()
    job.worker(sequences)
    return length * len(sequences) / max(time.perf_counter() - begun, 1e-9)


def dry_run(job: FileJob) -> str:
    """Describe what the run would read, write and take."""
    found, estimate = job.survey, estimate_size(job)
    speed = measure_speed(job)
    lines = [
        f"input   {job.source.name}: {found.records:,} records, {found.letters:,} letters, longest {found.longest:,}",
        f"model   {job.model.name} on {job.provenance.device}, {job.provenance.dtype}, "
        f"{job.worker.batch_tokens:,} tokens per batch",
        f"output  {job.request.output} ({job.form.name}): {job.planned()}, about {size(estimate.output)}",
        f"time    about {duration(found.letters / speed)} at {speed:,.0f} tokens per second",
    ]
    if job.request.output != "-":
        free = shutil.disk_usage(Path(job.request.output).parent).free
        lines.insert(3, f"disk    about {size(estimate.peak)} while it runs, {size(free)} free")
        lines += _standing(job)
    return "\n".join(lines)


def _standing(job: FileJob) -> list[str]:
    """Say what an output that already stands would mean for the run."""
    try:
        complete = job.finished() is not None
    except OutputError as error:
        return [f"stop    the run would stop at once: {error}"]
    return [f"done    {job.request.output} is already complete: nothing would be done"] if complete else []
