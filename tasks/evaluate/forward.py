"""The Forward score of HMMER for proteins in which its pipeline finds no domain, and reports nothing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

# residues that stand for several, or for one that is not among the twenty
_STANDS_FOR = {"B": "ND", "J": "IL", "Z": "QE", "U": "C", "O": "K"}
# a domain may be followed by another one
_ONE_MORE, _DONE = 0.5, 0.5
# sequences at once
_ROWS = 256


class _Model(NamedTuple):
    """Hold a profile of K columns for local alignment of any number of domains (Eddy 2011)."""

    match: np.ndarray  # (29, K) odds of every symbol in every column
    begin: np.ndarray  # (K,) chance that a domain begins in a column
    moves: dict[
        str, np.ndarray
    ]  # (K - 1,) each: chance to go on from a column to the next; MI and II to its insert
    deletions: np.ndarray  # (2, K) the band matrix by which deletions follow each other


def forward_scores(profile: Any, texts: Sequence[str]) -> np.ndarray:
    """Return the log-odds of whole sequences (N,) in bits, over all alignments, not corrected for composition.

    It is the score that HMMER itself holds against its thresholds, in double precision.
    """
    symbols = profile.alphabet.symbols
    model = _model(profile, symbols)
    found = np.zeros(len(texts))
    order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
    for begin in range(0, len(order), _ROWS):
        block = order[begin : begin + _ROWS]
        lengths = np.array([len(texts[number]) for number in block], float)
        ids = np.zeros((len(block), int(lengths[0])), np.int64)
        for row, number in enumerate(block):
            ids[row, : len(texts[number])] = [symbols.index(letter) for letter in texts[number]]
        found[block] = (_forward(model, ids, lengths) - _null(lengths)) / np.log(2)
    return found


def _model(profile: Any, symbols: str) -> _Model:
    """Configure a profile as HMMER does before a search: inserts score nothing, a domain may begin and end anywhere."""
    from pyhmmer.plan7 import Background

    natural = np.asarray(Background(profile.alphabet).residue_frequencies, float)  # (20,)
    emissions = np.asarray(profile.match_emissions, float)[1:]  # (K, 20)
    scores = np.log(np.maximum(emissions, 1e-300) / natural)
    columns = [_score(symbol, symbols, scores, natural) for symbol in symbols]
    steps = np.asarray(profile.transition_probabilities, float)  # (K + 1, 7)
    moves = dict(zip(("MM", "MI", "MD", "IM", "II", "DM", "DD"), steps[1:-1].T, strict=True))
    used = np.empty(len(scores))
    used[0] = steps[0, 0] + steps[0, 1]
    for place in range(1, len(used)):
        stay = moves["MM"][place - 1] + moves["MI"][place - 1]
        used[place] = used[place - 1] * stay + (1 - used[place - 1]) * moves["DM"][place - 1]
    begin = used / (used * np.arange(len(used), 0, -1)).sum()
    deletions = np.stack((np.ones(len(used)), np.append(-moves["DD"], 0)))
    return _Model(np.exp(np.stack(columns)), begin, moves, deletions)


def _score(symbol: str, symbols: str, scores: np.ndarray, natural: np.ndarray) -> np.ndarray:
    """Return the score of a symbol in every column (K,): of one that stands for several the mean."""
    place = symbols.index(symbol)
    if place < len(natural):
        return scores[:, place]
    meant = [symbols.index(letter) for letter in _STANDS_FOR.get(symbol, symbols[: len(natural)])]
    mean: np.ndarray = scores[:, meant] @ natural[meant] / natural[meant].sum()
    return mean


def _forward(model: _Model, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the log-probability (N,) of sequences (N, L), the longest first, up to that of their letters alone."""
    stay = lengths / (lengths + 3)
    count, width = len(ids), model.match.shape[1]
    matched = np.zeros((count, width))
    inserted, deleted = np.zeros_like(matched), np.zeros_like(matched)
    before, between, after = np.ones(count), np.zeros(count), np.zeros(count)
    scale = np.zeros(count)
    for place in range(ids.shape[1]):
        # those that are not yet at their end
        n = int((lengths > place).sum())
        begins = (before[:n] + between[:n]) * (1 - stay[:n])
        old, insert, gap = matched[:n], inserted[:n], deleted[:n]
        new = begins[:, None] * model.begin
        new[:, 1:] += (
            old[:, :-1] * model.moves["MM"]
            + insert[:, :-1] * model.moves["IM"]
            + gap[:, :-1] * model.moves["DM"]
        )
        new *= model.match[ids[:n, place]]
        kept = np.zeros_like(new)
        kept[:, :-1] = old[:, :-1] * model.moves["MI"] + insert[:, :-1] * model.moves["II"]
        gone = _deleted(model, new)
        ends = new.sum(1) + gone.sum(1)
        held = np.stack((before[:n] * stay[:n], between[:n] * stay[:n] + ends * _ONE_MORE))
        done = after[:n] * stay[:n] + ends * _DONE
        # numbers would run out of range
        size = np.maximum(held.max(0), done)
        scale[:n] += np.log(size)
        before[:n], between[:n], after[:n] = held[0] / size, held[1] / size, done / size
        for kind, values in ((matched, new), (inserted, kept), (deleted, gone)):
            kind[:n] = values / size[:, None]
    return scale + np.log(after * (1 - stay))


def _deleted(model: _Model, matched: np.ndarray) -> np.ndarray:
    """Return the chances of being in a deletion (N, K), which one or more columns before were entered from a match."""
    from scipy.linalg import solve_banded

    entered = np.zeros_like(matched)
    entered[:, 1:] = matched[:, :-1] * model.moves["MD"]
    found: np.ndarray = solve_banded((1, 0), model.deletions, entered.T, check_finite=False).T
    return found


def _null(lengths: np.ndarray) -> np.ndarray:
    """Return the log-probability (N,) of the lengths where there is no profile."""
    stay = lengths / (lengths + 1)
    null: np.ndarray = lengths * np.log(stay) + np.log(1 - stay)
    return null
