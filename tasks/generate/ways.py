"""The ways in which samples are drawn: many at once, from drafts, cell by cell of a grid, or as a beam."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from bio_xlstm.sampling import Sample, draw
from bio_xlstm.sampling.beam import beam_search
from bio_xlstm.sampling.copying import draw_copying
from bio_xlstm.sampling.opening import Opening
from bio_xlstm.tasks.generate.setup import Job
from bio_xlstm.tasks.generate.words import GRID_SETTINGS


def samples_of(job: Job, numbers: Iterable[int]) -> Iterator[Sample]:
    """Draw the samples with the given numbers."""
    request = job.request
    if request.beam is not None:
        wanted = set(numbers)
        longest = job.sampling.longest
        found = beam_search(job.decoder, request.beam, longest=longest, opening=job.openings(0))
        yield from (sample for sample in found if sample.number in wanted)
    elif request.preset is not None:
        yield from _grid(job, numbers)
    elif request.draft is not None:
        source = job.redesign.ids if job.redesign is not None else job.openings(0).ids
        yield from draw_copying(
            job.model,
            numbers,
            job.sampling,
            opening_of=job.openings,
            source=source,
            constraint=job.constraint,
            draft=request.draft,
        )
    else:
        yield from draw(
            job.decoder, numbers, job.sampling, opening_of=job.openings, constraint=job.constraint
        )


def _grid(job: Job, numbers: Iterable[int]) -> Iterator[Sample]:
    """Draw cell after cell: as many samples as are asked for with every setting, in turn with every context."""
    contexts = job.openings.contexts
    of_setting = job.request.wanted // len(GRID_SETTINGS)

    def opening_of(number: int) -> Opening:
        # a context for every size: as many samples of each
        return job.openings(number % of_setting * contexts // of_setting)

    for setting, cell in groupby(numbers, lambda number: number // of_setting):
        temperature, top_k, top_p = GRID_SETTINGS[setting]
        sampling = replace(job.sampling, temperature=temperature, top_k=top_k, top_p=top_p)
        yield from draw(job.decoder, cell, sampling, opening_of=opening_of, constraint=job.constraint)
