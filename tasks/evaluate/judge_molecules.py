"""Put generated molecules, real ones and those of training together into one evaluation."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from bio_xlstm.tasks.evaluate.alerts import CATALOGUES
from bio_xlstm.tasks.evaluate.choice import halves, thinned
from bio_xlstm.tasks.evaluate.evaluation import Evaluation, Sample
from bio_xlstm.tasks.evaluate.facts import describe
from bio_xlstm.tasks.evaluate.fcd import fcd
from bio_xlstm.tasks.evaluate.inputs import Entry
from bio_xlstm.tasks.evaluate.metric import NO_REFERENCE, Metric, beside, explained
from bio_xlstm.tasks.evaluate.molecules import (
    MoleculeSet,
    apart,
    averages,
    cleanness,
    nearest_of,
    quality,
    variety,
)
from bio_xlstm.tasks.evaluate.properties import COUNTS, PROPERTIES
from bio_xlstm.tasks.evaluate.request import GenerationRequest
from bio_xlstm.tasks.evaluate.spread import choose_workers, spread
from bio_xlstm.tasks.progress import Progress

TOO_FEW = "there are too few molecules for it"
# molecules in the picture
DRAWN = 24


def gather(entries: Sequence[Entry], request: GenerationRequest, what: str) -> MoleculeSet:
    """Describe the different molecules among entries."""
    valid = [entry for entry in entries if entry.form]
    first: dict[str, str] = {}
    for entry in valid:
        first.setdefault(entry.form, entry.text)
    numbers = {form: number for number, form in enumerate(first)}
    facts = []
    with Progress(f"{what} molecules described", len(first), quiet=request.quiet) as progress:
        for one in spread(describe, first.values(), choose_workers(request.workers, len(first))):
            facts.append(one)
            progress.advance(1)
    return MoleculeSet(facts, np.array([numbers[entry.form] for entry in valid], np.int64))


def judge_molecules(
    entries: Sequence[Entry], found: MoleculeSet, real: MoleculeSet | None, known: Collection[str] | None,
    request: GenerationRequest,
) -> Evaluation:  # fmt: skip
    """Measure generated molecules beside real ones; `known` are forms without stereo marks met in training."""
    metrics = quality(found, len(entries), known) + _features(found, found, request)
    if real is not None:
        metrics = beside(metrics, _features(real, _cut(real, len(found), request.seed), request))
    metrics = explained(metrics, TOO_FEW) + _distances(found, real, request)
    nearest = None if real is None else nearest_of(found, real, request.compare, request.seed)
    return Evaluation(
        kind="smiles",
        metrics=metrics,
        samples=_samples(found, real),
        rows=_rows(entries, found, known, nearest),
        drawn=_drawn(entries, found, request.seed),
    )


def _features(found: MoleculeSet, counted: MoleculeSet, request: GenerationRequest) -> list[Metric]:
    """Measure what a set is like; what grows with the number of molecules is measured of `counted`."""
    return variety(counted, request.compare, request.seed) + cleanness(found) + averages(found)


def _cut(real: MoleculeSet, count: int, seed: int) -> MoleculeSet:
    """Return as many real molecules as were generated, where there are as many."""
    return real.take(np.array(thinned(range(len(real)), max(count, 1), seed), np.int64))


def _distances(found: MoleculeSet, real: MoleculeSet | None, request: GenerationRequest) -> list[Metric]:
    """Measure the distances to real molecules, beside those between two halves of these."""
    compared, seed = request.compare, request.seed
    other = MoleculeSet([], np.zeros(0, np.int64)) if real is None else real
    metrics = apart(found, other, compared, seed)
    first, second = halves(len(other), seed)
    if len(first):
        # as many as were generated, where there are as many: some distances fall with the number
        half = other.take(second[: max(len(found), 1)])
        metrics = beside(metrics, apart(half, other.take(first), compared, seed))
    if request.fcd:
        metrics = fcd(found, other, seed, request.device) + metrics
    if real is None:
        return [metric._replace(note=NO_REFERENCE) for metric in metrics]
    return explained(metrics, TOO_FEW)


def _samples(found: MoleculeSet, real: MoleculeSet | None) -> list[Sample]:
    """Collect what histograms are drawn of."""
    return [
        Sample(words, found.values(name), None if real is None else real.values(name), name in COUNTS)
        for name, words in PROPERTIES.items()
    ]


def _rows(
    entries: Sequence[Entry], found: MoleculeSet, known: Collection[str] | None, nearest: np.ndarray | None
) -> dict[str, list[Any]]:
    """Lay out a row for every record: what it is, and what was measured of it."""
    valid = np.array([bool(entry.form) for entry in entries], bool)
    places = np.where(valid, np.cumsum(valid) - 1, -1).tolist()  # among the valid ones
    facts = [found.facts[found.index[place]] if place >= 0 else None for place in places]
    first = set(np.unique(found.index, return_index=True)[1].tolist()) if len(found) else set()
    columns: dict[str, list[Any]] = {
        "row": [entry.row for entry in entries],
        "id": [entry.id for entry in entries],
        "status": [entry.status for entry in entries],
        "detail": [entry.detail for entry in entries],
        "sequence": [entry.text for entry in entries],
        "valid": valid.tolist(),
        "canonical": [one and one.canonical for one in facts],
        "unique": [one and place in first for one, place in zip(facts, places, strict=True)],
        "novel": [None if one is None or known is None else one.flat not in known for one in facts],
        "scaffold": [one and one.scaffold for one in facts],
        "nearest_similarity": [
            None if nearest is None or place < 0 else float(nearest[place]) for place in places
        ],
    }
    for number, name in enumerate(PROPERTIES):
        columns[name] = [one and one.properties[number] for one in facts]
    for number, name in enumerate(CATALOGUES):
        columns[name.lower()] = [one and one.alerts[number] for one in facts]
    return columns


def _drawn(entries: Sequence[Entry], found: MoleculeSet, seed: int) -> list[tuple[str, str]]:
    """Choose different molecules at random for the picture."""
    rows = [entry.row for entry in entries if entry.form]
    order = list(PROPERTIES)
    qed, access = order.index("qed"), order.index("sa_score")
    first = np.unique(found.index, return_index=True)[1].tolist()
    drawn = []
    for place in sorted(thinned(first, DRAWN, seed)):
        facts = found.facts[found.index[place]]
        legend = f"row {rows[place]}  QED {facts.properties[qed]:.2f}  SA {facts.properties[access]:.1f}"
        drawn.append((facts.smiles, legend))
    return drawn
