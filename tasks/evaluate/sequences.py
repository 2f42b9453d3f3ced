"""Generated proteins or DNA: what is valid and new, and how far they are from real ones."""

from collections.abc import Collection, Sequence

import numpy as np

from bio_xlstm.tasks.evaluate.distances import jensen_shannon, kolmogorov_smirnov, mean, median, wasserstein
from bio_xlstm.tasks.evaluate.letters import LETTERS, measure, spectra
from bio_xlstm.tasks.evaluate.metric import Metric, beside, measured, missing, share


def quality(texts: Sequence[str], records: int, known: Collection[str] | None, kind: str) -> list[Metric]:
    """Measure validity, uniqueness and novelty; `known` are those of the texts that were met in training."""
    different = set(texts)
    letter = LETTERS[kind].letter
    new = "share of the different sequences that the training file lacks"
    novelty = (
        missing("novelty", new, "no training file was given (--train)")
        if known is None
        else share("novelty", len(different - set(known)), len(different), new)
    )
    return [
        measured("records", records, "records of the file"),
        share("validity", len(texts), records, f"share of the records that are sequences of {letter}s"),
        share("uniqueness", len(different), len(texts), "different sequences per valid one"),
        novelty,
    ]


def averages(texts: Sequence[str], kind: str) -> list[Metric]:
    """Average every property."""
    return [
        measured(
            f"mean_{name}",
            mean(values),
            f"mean over the valid sequences: {LETTERS[kind].properties[name].words}",
        )
        for name, values in measure(texts, LETTERS[kind]).items()
    ]


def apart(texts: Sequence[str], other: Sequence[str], kind: str) -> list[Metric]:
    """Measure how far letters, words and properties are from those of the reference."""
    letters = LETTERS[kind]
    counts = [spectra(of, letters) for of in (texts, other)]
    values = [measure(of, letters) for of in (texts, other)]
    found = [
        measured(
            f"jensen_shannon_{k}",
            jensen_shannon(counts[0][k], counts[1][k]),
            f"Jensen-Shannon distance to the reference (root of the divergence in bits) of the counts of "
            f"{f'words of {k} ' if k > 1 else ''}{letters.letter}s",
        )
        for k in letters.words
    ]
    for name, known in letters.properties.items():
        pair = values[0][name], values[1][name]
        found += [
            measured(
                f"kolmogorov_smirnov_{name}",
                kolmogorov_smirnov(*pair),
                f"Kolmogorov-Smirnov distance to the reference: {known.words}",
            ),
            measured(
                f"wasserstein_{name}",
                wasserstein(*pair),
                f"Wasserstein-1 distance to the reference: {known.words}",
            ),
        ]
    return found


def scored(name: str, values: np.ndarray, real: np.ndarray | None, definition: str) -> list[Metric]:
    """Average a score (N,) beside that of real sequences (M,), and measure how far the two samples are apart."""
    nothing = np.zeros(0)
    natural = nothing if real is None else real
    averages = [("mean", mean), ("median", median)]
    found = beside(
        [measured(f"{way}_{name}", of(values), f"{way}: {definition}") for way, of in averages],
        [measured(f"{way}_{name}", of(natural), "") for way, of in averages],
    )
    distance = kolmogorov_smirnov(values, natural)
    words = f"Kolmogorov-Smirnov distance to real sequences: {definition}"
    return [*found, measured(f"kolmogorov_smirnov_{name}", distance, words)]
