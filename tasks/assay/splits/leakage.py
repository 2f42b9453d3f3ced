"""The audit of a split: what the test part shares with what is trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bio_xlstm.tasks.assay.assay import Assay
from bio_xlstm.tasks.assay.fingerprint import fingerprints, reverse_complement
from bio_xlstm.tasks.assay.similarity import nearest
from bio_xlstm.tasks.assay.splits.groups import scaffold_names
from bio_xlstm.tasks.assay.splits.split import Split

WORDS = {
    "exact": "are written as one that is trained on",
    "canonical": "are the same molecule or sequence as one that is trained on",
    "reverse_complement": "are the other strand of one that is trained on",
    "scaffold": "share their scaffold with one that is trained on",
    "similar": "are as similar as {threshold:g} to one that is trained on",
}
# a pair this similar (Tanimoto) tells much about each other
THRESHOLD = {"smiles": 0.7, "protein": 0.5, "dna": 0.5}
# held-out sequences that are compared with all others
MOST = 5000


@dataclass(frozen=True)
class Leak:
    """Count the sequences of the test part (all folds taken together) that have a fellow in another part."""

    what: str
    """exact, canonical, reverse_complement, scaffold or similar"""
    words: str
    """the same for people"""
    count: int
    looked_at: int
    examples: list[tuple[int, int]]
    """pairs of input rows: one of the test part, one of another part"""
    conflicting: int = 0
    """how many of them have another value than their fellow; for exact and canonical"""


@dataclass(frozen=True)
class Leakage:
    """Hold the findings of an audit."""

    held_out: int
    """sequences of the test part"""
    leaks: list[Leak]
    threshold: float
    nearest: list[float]
    """deciles (11) of the similarity of test sequences to the nearest one that is trained on"""

    def lines(self) -> list[str]:
        """Describe the findings, one line each."""
        found = [
            f"{leak.count:,} of {leak.looked_at:,} test sequences {leak.words}"
            + (f"; {leak.conflicting:,} with another value" if leak.conflicting else "")
            for leak in self.leaks
            if leak.count
        ]
        found = found or [f"none of {self.held_out:,} test sequences repeats or resembles what is trained on"]
        if self.nearest:
            found.append(
                f"median similarity of a test sequence to the nearest trained one: {self.nearest[5]:.2f}"
            )
        return found


def audit_leakage(
    assay: Assay, split: Split, *, threshold: float | None = None, examples: int = 5, most: int = MOST
) -> Leakage:
    """Look for test sequences that others, in training or validation, give away.

    `threshold` is a similarity (0 to 1; default: that of a cluster split, else 0.7 for molecules and 0.5 for letters).
    At most `most` test sequences, drawn at random, are compared for similarity.
    """
    if threshold is None:
        threshold = split.threshold or THRESHOLD[assay.kind]
    sides = [(held.test, np.concatenate([held.train, held.validation])) for held in split.rounds()]
    leaks = [_shared(what, keys, others, sides, assay, examples) for what, keys, others in _keys(assay)]
    near, partner, looked = _nearest(assay, sides, most)
    hits = np.flatnonzero(near >= threshold)
    order = hits[np.argsort(-near[hits], kind="stable")][:examples]
    pairs = [(int(assay.rows[looked[hit]]), int(assay.rows[partner[hit]])) for hit in order.tolist()]
    words = WORDS["similar"].format(threshold=threshold)
    leaks.append(Leak("similar", words, len(hits), len(looked), pairs))
    deciles = np.quantile(near, np.linspace(0, 1, 11)).tolist() if len(near) else []
    return Leakage(sum(len(test) for test, _ in sides), leaks, threshold, deciles)


def _keys(assay: Assay) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """Yield kinds of leaks, with what a test sequence looks for and what others answer to; "" is nothing."""
    yield "exact", assay.sequences, assay.sequences
    yield "canonical", assay.canonical, assay.canonical
    if assay.kind == "dna":
        other = [reverse_complement(text) for text in assay.sequences]
        # a palindrome is its own other strand, an exact repeat
        pairs = zip(other, assay.sequences, strict=True)
        yield "reverse_complement", ["" if one == text else one for one, text in pairs], assay.sequences
    if assay.kind == "smiles":
        names = [name if not name.startswith("(") else "" for name in scaffold_names(assay.sequences)]
        yield "scaffold", names, names


def _shared(
    what: str,
    keys: Sequence[str],
    others: Sequence[str],
    sides: Sequence[tuple[np.ndarray, np.ndarray]],
    assay: Assay,
    examples: int,
) -> Leak:
    """Count the test sequences whose key another part holds."""
    found: list[tuple[int, int]] = []
    for test, rest in sides:
        known: dict[str, int] = {}
        for number in rest.tolist():
            known.setdefault(others[number], number)
        found += [
            (number, known[keys[number]])
            for number in test.tolist()
            if keys[number] and keys[number] in known
        ]
    pairs = [(int(assay.rows[one]), int(assay.rows[other])) for one, other in found[:examples]]
    differ = 0
    if what in ("exact", "canonical"):
        differ = sum(_differ(assay.values[one], assay.values[other]) for one, other in found)
    total = sum(len(test) for test, _ in sides)
    return Leak(what, WORDS[what], len(found), total, pairs, differ)


def _nearest(
    assay: Assay, sides: Sequence[tuple[np.ndarray, np.ndarray]], most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return similarity, partner and number of the test sequences that are looked at."""
    prints = fingerprints(assay.sequences, assay.kind)
    total = sum(len(test) for test, _ in sides)
    rng = np.random.default_rng(0)
    reached, partners, looked = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for test, rest in sides:
        if total > most:
            test = np.sort(rng.choice(test, min(len(test), -(-most * len(test) // total)), replace=False))
        if not len(rest) or not len(test):
            continue
        near, which = nearest(prints[test], prints[rest])
        reached.append(near)
        partners.append(rest[which])
        looked.append(test)
    return np.concatenate(reached), np.concatenate(partners), np.concatenate(looked)


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    both = ~np.isnan(one) & ~np.isnan(other)
    return bool((one[both] != other[both]).any())
