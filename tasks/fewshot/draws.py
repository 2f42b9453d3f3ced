"""Supports of an assay: examples drawn at random, stratified by class as FS-Mol does; the rest are queries."""

from typing import NamedTuple
from zlib import crc32

import numpy as np

from bio_xlstm.tasks.fewshot.assay import Assay

FEWEST_QUERIES = 8
_LEAVES = f"an assay counts for a support size where every draw leaves {FEWEST_QUERIES} or more queries"
RULES = {
    "classification": f"{_LEAVES}, of both classes, and holds examples of both",
    "regression": f"{_LEAVES} whose value is known, and not all of one value",
}


class Draws(NamedTuple):
    """Hold S supports of N examples of one assay, and the M queries of each, as places in the assay."""

    support: np.ndarray  # (S, N) int64
    queries: np.ndarray  # (S, M) int64


def draw(assay: Assay, size: int, seeds: range, *, numeric: bool) -> Draws | str:
    """Draw a support for every seed; a text says why an assay has none of this size.

    The draw of a seed depends on the seed, the size and the assay's name and molecules alone.
    """
    # what may be both is an example or a query of a draw; what may be a query alone is one of every draw
    pool = np.flatnonzero(assay.pool)
    if len(pool) < size:
        return f"{len(pool)} molecules are fewer than {size}"
    supports = []
    for seed in seeds:
        rng = np.random.default_rng([seed, size, crc32(assay.name.encode())])
        shuffled = rng.permutation(pool)
        chosen = shuffled[:size] if numeric else _stratified(shuffled, assay.values, size)
        if chosen is None:
            return "one class is too rare for a stratified support"
        supports.append(rng.permutation(chosen))
    queries = [np.setdiff1d(np.flatnonzero(assay.asked), support) for support in supports]
    for each in queries:
        if reason := _too_few(assay, each, numeric=numeric):
            return reason
    return Draws(np.stack(supports), np.stack(queries))


def countable(assay: Assay, queries: np.ndarray) -> np.ndarray:
    """Return which queries (M,) are judged: those whose value is known, not bounded alone."""
    return assay.relations[queries] == 0


def _stratified(shuffled: np.ndarray, values: np.ndarray, size: int) -> np.ndarray | None:
    """Take positives in their share of the assay, at least one of either class; None where a class runs out."""
    positive, negative = shuffled[values[shuffled] == 1], shuffled[values[shuffled] == 0]
    share = len(positive) / len(shuffled)
    count = min(max(round(size * share), 1), size - 1)
    if len(positive) < count or len(negative) < size - count:
        return None
    return np.concatenate([positive[:count], negative[: size - count]])


def _too_few(assay: Assay, queries: np.ndarray, *, numeric: bool) -> str:
    """Say why queries cannot be judged, "" where they can."""
    known = queries[countable(assay, queries)] if numeric else queries
    if len(known) < FEWEST_QUERIES:
        return f"{len(known)} queries are fewer than {FEWEST_QUERIES}"
    if np.ptp(assay.values[known]) == 0:
        return "the queries all have one value" if numeric else "the queries are all of one class"
    return ""
