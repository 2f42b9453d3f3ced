"""Put generated proteins or DNA, real ones and those of training together into one evaluation."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from bio_xlstm.tasks.evaluate.choice import halves, thinned
from bio_xlstm.tasks.evaluate.evaluation import Evaluation, Sample
from bio_xlstm.tasks.evaluate.inputs import Entry
from bio_xlstm.tasks.evaluate.kmers import spectrum
from bio_xlstm.tasks.evaluate.letters import LETTERS, measure
from bio_xlstm.tasks.evaluate.metric import NO_REFERENCE, Metric, beside, explained, missing, share
from bio_xlstm.tasks.evaluate.nearest import CANDIDATES, choose_candidates, nearest_distances
from bio_xlstm.tasks.evaluate.profile import MISSING_PYHMMER, scores
from bio_xlstm.tasks.evaluate.request import GenerationRequest
from bio_xlstm.tasks.evaluate.sequences import apart, averages, quality, scored

NO_PROFILE = "no profile was given (--hmm)"
TOO_FEW = "there are too few sequences for it"
_WHOLE = frozenset(("length", "longest_run"))
_NEAREST = (
    "share of differing columns in the global alignment (1, -1, gaps -1) with the nearest real sequence, the best "
    "scored of {}; beside it one half of the reference to the other"
)
_ALL, _SOME = "all", f"the {CANDIDATES} that share most words of 3 residues"
_PROFILE = "bit score of the whole sequence against the profile, no filters; without a hit the Forward score of HMMER"
_HITS = "share of the valid sequences of which HMMER finds some part like the profile, no filters"


def judge_sequences(
    entries: Sequence[Entry], reference: Sequence[Entry] | None, known: Collection[str] | None,
    request: GenerationRequest, kind: str, profile: Any,
) -> Evaluation:  # fmt: skip
    """Measure generated sequences beside real ones; `known` are the texts met in training."""
    texts = [entry.form for entry in entries if entry.form]
    real = None if reference is None else [entry.form for entry in reference]
    metrics = explained(
        quality(texts, len(entries), known, kind) + beside(averages(texts, kind), averages(real or [], kind)),
        TOO_FEW,
    )
    metrics += _distances(texts, real, kind, request.seed)
    measured = measure(texts, LETTERS[kind])
    natural = None if real is None else measure(real, LETTERS[kind])
    samples = [
        Sample(known_as.words, measured[name], None if natural is None else natural[name], name in _WHOLE)
        for name, known_as in LETTERS[kind].properties.items()
    ]
    extra = _protein_scores(texts, real, request, profile) if kind == "protein" else {}
    for name, (values, of_real, found) in extra.items():
        metrics += found
        measured[name] = values
        if np.isfinite(values).any():
            samples.append(Sample(name.replace("_", " "), values, of_real))
    rows = _rows(entries, known, measured)
    return Evaluation(kind, metrics, samples, rows, shares=_shares(texts, real, kind))


def _distances(texts: list[str], real: list[str] | None, kind: str, seed: int) -> list[Metric]:
    """Measure the distances to real sequences, beside those between two halves of these."""
    if real is None:
        return [metric._replace(note=NO_REFERENCE) for metric in apart(texts, [], kind)]
    first, second = halves(len(real), seed)
    # as many as were generated, where there are as many: distances fall with the number
    half = [real[number] for number in second[: max(len(texts), 1)].tolist()]
    floor = apart(half, [real[number] for number in first.tolist()], kind)
    return explained(beside(apart(texts, real, kind), floor), TOO_FEW)


Scored = tuple[np.ndarray, np.ndarray | None, list[Metric]]


def _protein_scores(
    texts: list[str], real: list[str] | None, request: GenerationRequest, profile: Any
) -> dict[str, Scored]:
    """Measure the distance to the nearest real protein and the fit to a profile, (N,) each, NaN where not measured."""
    return {
        "nearest_distance": _nearest(texts, real, request.compare, request.seed),
        "profile_score": _fit(texts, real, request.hmm, profile),
    }


def _nearest(texts: list[str], real: list[str] | None, compared: int, seed: int) -> Scored:
    if real is None:
        values = np.full(len(texts), np.nan)
        found = explained(scored("nearest_distance", values, None, _NEAREST.format(_ALL)), NO_REFERENCE)
        return values, None, found
    different = list(dict.fromkeys(texts))
    asked = thinned(different, compared, seed)
    first, second = halves(len(real), seed)
    one, other = ([real[number] for number in half.tolist()] for half in (first, second))
    candidates = choose_candidates((asked, real), (other, one))
    distances = dict(zip(asked, nearest_distances(asked, real, candidates).tolist(), strict=True))
    values = np.array([distances.get(text, np.nan) for text in texts], float)
    natural = nearest_distances(other, one, candidates)
    words = _NEAREST.format(_ALL if candidates is None else _SOME)
    return values, natural, explained(scored("nearest_distance", values, natural, words), TOO_FEW)


def _fit(texts: list[str], real: list[str] | None, path: str | None, profile: Any) -> Scored:
    if profile is None:
        nothing = np.full(len(texts), np.nan)
        why = NO_PROFILE if path is None else MISSING_PYHMMER
        found = [*scored("profile_score", nothing, None, _PROFILE), missing("profile_hits", _HITS, "")]
        return nothing, None, explained(found, why)
    fit = scores(profile, texts)
    natural = scores(profile, real or [])
    hits = beside(*([share("profile_hits", int(of.hit.sum()), len(of.hit), _HITS)] for of in (fit, natural)))
    found = scored("profile_score", fit.bits, None if real is None else natural.bits, _PROFILE) + hits
    why = NO_REFERENCE if real is None and texts else TOO_FEW
    return fit.bits, None if real is None else natural.bits, explained(found, why)


def _rows(
    entries: Sequence[Entry], known: Collection[str] | None, measured: dict[str, np.ndarray]
) -> dict[str, list[Any]]:
    """Lay out a row for every record: what it is, and what was measured of it."""
    first: dict[str, int] = {}
    for place, entry in enumerate(entries):
        first.setdefault(entry.form, place)
    unique = [first[entry.form] == place if entry.form else None for place, entry in enumerate(entries)]
    valid = np.array([bool(entry.form) for entry in entries], bool)
    places = np.where(valid, np.cumsum(valid) - 1, -1).tolist()
    columns: dict[str, list[Any]] = {
        "row": [entry.row for entry in entries],
        "id": [entry.id for entry in entries],
        "status": [entry.status for entry in entries],
        "detail": [entry.detail for entry in entries],
        "sequence": [entry.form or entry.text for entry in entries],
        "valid": valid.tolist(),
        "unique": unique,
        "novel": [None if known is None or not e.form else e.form not in known for e in entries],
    }
    for name, values in measured.items():
        columns[name] = [float(values[place]) if place >= 0 else None for place in places]
    return columns


def _shares(texts: list[str], real: list[str] | None, kind: str) -> dict[str, list[float]]:
    """Return the share of every letter among generated sequences and, if given, real ones."""
    letters = LETTERS[kind]
    counts = [spectrum(letters.encode(of), 1) for of in (texts, real) if of is not None]
    shares = [count / max(count.sum(), 1) for count in counts]
    return {letter: [float(share[n]) for share in shares] for n, letter in enumerate(letters.alphabet)}
