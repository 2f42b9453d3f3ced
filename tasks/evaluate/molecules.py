"""Generated molecules: what is valid, new and different among them, and how far they are from real ones."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from bio_xlstm.tasks.evaluate.alerts import CATALOGUES
from bio_xlstm.tasks.evaluate.choice import thinned
from bio_xlstm.tasks.evaluate.distances import cosine, deviation, mean, wasserstein
from bio_xlstm.tasks.evaluate.facts import Facts
from bio_xlstm.tasks.evaluate.fingerprints import (
    circles,
    fingerprints,
    internal_diversity,
    nearest_similarities,
)
from bio_xlstm.tasks.evaluate.metric import Metric, measured, missing, share
from bio_xlstm.tasks.evaluate.properties import PROPERTIES

# Tanimoto distance that parts molecules of different circles
CIRCLE = 0.7
_PAIRS = "Tanimoto similarity of Morgan fingerprints (radius 2, 1,024 bits)"


@dataclass(frozen=True)
class MoleculeSet:
    """Hold V valid molecules as M different ones, and which of them each is."""

    facts: Sequence[Facts]  # M, in the order in which they first appear
    index: np.ndarray  # (V,) int64

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: np.ndarray) -> "MoleculeSet":
        """Select valid molecules by their numbers."""
        return MoleculeSet(self.facts, self.index[rows])

    @property
    def different(self) -> list[Facts]:
        """Return the different molecules."""
        return [self.facts[number] for number in np.unique(self.index).tolist()]

    def values(self, name: str) -> np.ndarray:
        """Return a property of every valid molecule (V,)."""
        column = list(PROPERTIES).index(name)
        return np.array([facts.properties[column] for facts in self.facts], float)[self.index]

    def count(self, field: str) -> Counter[str]:
        """Count the scaffolds, or the fragments, of all valid molecules; "" is none."""
        found: Counter[str] = Counter()
        for number, times in zip(*np.unique(self.index, return_counts=True), strict=True):
            value = getattr(self.facts[number], field)
            for one in (value,) if isinstance(value, str) else value:
                found[one] += int(times)
        del found[""]
        return found


def quality(found: MoleculeSet, records: int, known: Collection[str] | None) -> list[Metric]:
    """Measure validity, uniqueness and novelty; `known` are the forms without stereo marks met in training."""
    different = found.different
    keys = {facts.inchikey for facts in different} - {""}
    new = "share of the different molecules that the training file lacks, stereo marks aside"
    novelty = (
        missing("novelty", new, "no training file was given (--train)")
        if known is None
        else share("novelty", sum(facts.flat not in known for facts in different), len(different), new)
    )
    return [
        measured("records", records, "records of the file"),
        share("validity", len(found), records, "share of the records that RDKit reads as a molecule"),
        share(
            "uniqueness", len(different), len(found), "different molecules per valid one (canonical SMILES)"
        ),
        share("valid_unique", len(different), records, "different valid molecules per record"),
        novelty,
        measured("molecules", len(different), "different molecules"),
        measured("inchikeys", len(keys), "different InChIKeys"),
    ]


def variety(found: MoleculeSet, compared: int, seed: int) -> list[Metric]:
    """Measure how different the molecules of a set are from each other."""
    different = thinned(found.different, compared, seed)
    smiles = [facts.smiles for facts in different]
    prints = fingerprints(smiles)
    scaffolds = found.count("scaffold")
    pairs = f"{_PAIRS} of all pairs of {len(different):,} different molecules"
    return [
        measured("internal_diversity", internal_diversity(prints), f"1 - mean {pairs}"),
        measured(
            "internal_diversity_2", internal_diversity(prints, power=2), f"1 - root mean square {pairs}"
        ),
        measured(
            "circles",
            circles(smiles, CIRCLE),
            f"molecules chosen in order, any two further apart than {CIRCLE} (1 - {_PAIRS}), "
            f"among {len(different):,} different ones",
        ),
        measured("scaffolds", len(scaffolds), "different Bemis-Murcko scaffolds, stereo marks aside"),
        share(
            "scaffold_uniqueness",
            len(scaffolds),
            sum(scaffolds.values()),
            "different scaffolds per valid molecule that has a ring",
        ),
    ]


def cleanness(found: MoleculeSet) -> list[Metric]:
    """Measure the share of molecules without alerts."""
    clean = np.array([[not name for name in facts.alerts] for facts in found.facts], bool)
    clean = clean.reshape(-1, len(CATALOGUES))[found.index]  # (V, catalogues)
    words = "share of the valid molecules without a substructure of"
    metrics = [
        share(f"passes_{name.lower()}", int(passes.sum()), len(passes), f"{words} RDKit's {name} catalogue")
        for name, passes in zip(CATALOGUES, clean.T, strict=True)
    ]
    all_of = " and ".join(CATALOGUES)
    return [*metrics, share("passes_filters", int(clean.all(1).sum()), len(clean), f"{words} {all_of}")]


def averages(found: MoleculeSet) -> list[Metric]:
    """Average every property."""
    return [
        measured(f"mean_{name}", mean(found.values(name)), f"mean over the valid molecules: {words}")
        for name, words in PROPERTIES.items()
    ]


def apart(one: MoleculeSet, other: MoleculeSet, compared: int, seed: int) -> list[Metric]:
    """Measure how far a set is from another one; every valid molecule counts, so that repeats show."""
    nearest = nearest_of(one, other, compared, seed)
    distances = {name: wasserstein(one.values(name), other.values(name)) for name in PROPERTIES}
    spreads = {name: deviation(other.values(name)) for name in PROPERTIES}
    scaled = [distances[name] / spreads[name] for name in PROPERTIES if spreads[name] > 0]
    return [
        measured(
            "nearest_similarity",
            mean(nearest),
            f"SNN: mean highest {_PAIRS} to the reference, of {int(np.isfinite(nearest).sum()):,} molecules",
        ),
        measured(
            "scaffold_similarity",
            cosine(one.count("scaffold"), other.count("scaffold")),
            "cosine of the counts of Bemis-Murcko scaffolds to those of the reference",
        ),
        measured(
            "fragment_similarity",
            cosine(one.count("fragments"), other.count("fragments")),
            "cosine of the counts of BRICS fragments to those of the reference",
        ),
        measured(
            "wasserstein_mean",
            float(np.mean(scaled)) if scaled else float("nan"),
            "mean over the properties of their Wasserstein-1 distance, each in standard deviations of the reference",
        ),
        *(
            measured(f"wasserstein_{name}", distance, f"Wasserstein-1 distance to the reference: {words}")
            for (name, words), distance in zip(PROPERTIES.items(), distances.values(), strict=True)
        ),
    ]


def nearest_of(one: MoleculeSet, other: MoleculeSet, compared: int, seed: int) -> np.ndarray:
    """Return for every valid molecule (V,) its highest similarity to the other set; NaN where it was not compared."""
    mine = thinned(np.unique(one.index).tolist(), compared, seed)
    theirs = thinned(other.different, compared, seed)
    found = np.full(len(one.facts), np.nan)
    if mine and theirs:
        prints = fingerprints(one.facts[number].smiles for number in mine)
        found[mine] = nearest_similarities(prints, fingerprints(facts.smiles for facts in theirs))
    return found[one.index]
