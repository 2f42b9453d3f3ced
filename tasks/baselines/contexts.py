"""Streams of predicted tokens and the integer codes of the contexts before them."""

from typing import NamedTuple

import numpy as np


class Stream(NamedTuple):
    """Hold packed sequences as the model sees them: what is read, what is predicted, where sequences begin.

    The shapes are those of a training batch without its leading axis, so that a baseline is trained and
    evaluated on exactly the tokens of the model.
    """

    inputs: np.ndarray  # (T,) ids read, the start token first where there is one
    targets: np.ndarray  # (T,) ids to predict after them; negative: not predicted
    offsets: np.ndarray  # (N + 1,) first position of every sequence, and T


def positions(stream: Stream) -> np.ndarray:
    """Return how many tokens of its own sequence stand before every position, (T,) int64."""
    lengths = np.diff(stream.offsets)
    return np.arange(len(stream.inputs)) - np.repeat(stream.offsets[:-1], lengths)


def context_codes(stream: Stream, order: int, base: int) -> np.ndarray:
    """Code the last `order` inputs at every predicted position as one integer, (P,) int64.

    A context never reaches into the sequence before: missing tokens count as the extra symbol `base - 1`.
    """
    if base ** (order + 1) >= 2**63:
        raise ValueError(f"order {order} over {base} symbols does not fit 64-bit context codes")
    predicted = stream.targets >= 0
    codes = np.zeros(int(predicted.sum()), np.int64)  # (P,)
    place = positions(stream)
    for back in range(order):
        symbol = np.full(len(stream.inputs), base - 1, np.int64)
        symbol[back:] = stream.inputs[: len(stream.inputs) - back]
        symbol[place < back] = base - 1
        codes += symbol[predicted] * base**back
    return codes


class Counts(NamedTuple):
    """Count, for one order, what followed every context; all arrays are sorted by code."""

    codes: np.ndarray  # (U,) context code * base + next token
    times: np.ndarray  # (U,) how often
    contexts: np.ndarray  # (C,) context codes
    totals: np.ndarray  # (C,) tokens seen after the context
    types: np.ndarray  # (C,) different tokens seen after it


class Evidence(NamedTuple):
    """Hold what the counts of one order say about predicted positions, (P,) each."""

    times: np.ndarray
    totals: np.ndarray
    types: np.ndarray


def count(contexts: np.ndarray, targets: np.ndarray, base: int) -> Counts:
    """Count (context, next token) pairs of one order."""
    codes, times = np.unique(contexts * base + targets, return_counts=True)
    owners = codes // base
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    totals = np.add.reduceat(times, first) if len(first) else times
    types = np.diff(first, append=len(codes))
    return Counts(
        codes, times.astype(np.int32), owners[first], totals.astype(np.int32), types.astype(np.int16)
    )


def look_up(counts: Counts, contexts: np.ndarray, targets: np.ndarray, base: int) -> Evidence:
    """Find the counts of every (context, target) pair; zero where it was never seen."""
    pair = _find(counts.codes, contexts * base + targets)
    owner = _find(counts.contexts, contexts)
    return Evidence(_take(counts.times, pair), _take(counts.totals, owner), _take(counts.types, owner))


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the place of every wanted key in sorted `keys`, -1 where it is missing."""
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    return np.where(keys[place] == wanted, place, -1) if len(keys) else np.full(len(wanted), -1)


def _take(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Read values at their places as float64, 0 for place -1."""
    return np.where(place >= 0, values[place], 0).astype(np.float64) if len(values) else np.zeros(len(place))
