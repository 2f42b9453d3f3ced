"""Ratios of the changed letters alone, for masked models: the letters that differ are hidden, all at once."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bio_xlstm.embedding import batches, pack
from bio_xlstm.likelihoods import masked_logprobs
from bio_xlstm.variants.changes import changed_places
from bio_xlstm.variants.flanks import symbol_answers

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

Pair = tuple[np.ndarray, np.ndarray]


class _Masked(NamedTuple):
    """Hold a wild type, or a window of it, with letters hidden."""

    shown: np.ndarray  # (T,)
    asked: np.ndarray  # (A,) where letters are asked for
    variants: list[int]
    """Numbers of the pairs that ask."""
    offset: int
    """Where the window begins."""


def masking_ratios(model: "SequenceModel", pairs: Sequence[Pair], *, stride: int, budget: int) -> np.ndarray:
    """Return the sum over changed letters of log p(mutant) - log p(wild) where all of them are hidden, (N,) float64.

    Variants of the same places of a wild type share one reading. Pairs (wild, mutant) of different length have no such
    places: they get the difference of their pseudo-log-likelihoods, of `stride` readings each.
    """
    totals = np.zeros(len(pairs))
    copies = list(_copies(model, pairs, budget))
    for batch in batches([copy.shown for copy in copies], budget):
        chosen = [copies[index] for index in batch]
        tokens, borders = pack(model, [copy.shown for copy in chosen])
        hidden = model(tokens, borders, with_state=False).hidden[0]
        rows = symbol_answers(model, hidden, _targets(model, chosen))
        ends = np.cumsum([len(copy.asked) for copy in chosen])
        for copy, found in zip(chosen, np.split(rows, ends[:-1]), strict=True):
            each, places = np.arange(len(copy.asked)), copy.asked + copy.offset
            for number in copy.variants:
                wild, mutant = pairs[number]
                totals[number] += (found[each, mutant[places]] - found[each, wild[places]]).sum()
    unequal = [number for number, (wild, mutant) in enumerate(pairs) if len(wild) != len(mutant)]
    if unequal:
        totals[unequal] = pseudo_differences(
            model, [pairs[number] for number in unequal], stride=stride, budget=budget
        )
    return totals


def pseudo_differences(
    model: "SequenceModel", pairs: Sequence[Pair], *, stride: int, budget: int
) -> np.ndarray:
    """Return the difference of the pseudo-log-likelihoods of whole sequences, (N,) float64."""
    sequences = {ids.tobytes(): ids for pair in pairs for ids in pair}
    values = masked_logprobs(model, list(sequences.values()), stride=stride, budget=budget)
    totals = {
        key: float(np.nansum(one, dtype=np.float64)) for key, one in zip(sequences, values, strict=True)
    }
    return np.array([totals[mutant.tobytes()] - totals[wild.tobytes()] for wild, mutant in pairs])


def _targets(model: "SequenceModel", copies: Sequence[_Masked]) -> np.ndarray:
    """Mark, among the tokens of packed copies, those that are asked about."""
    framing = int(model.tokenizer.start is not None)
    marks = []
    for copy in copies:
        mark = np.full(framing + len(copy.shown), -1, np.int64)
        mark[framing + copy.asked] = 0
        marks.append(mark)
    return np.concatenate(marks)


def _copies(model: "SequenceModel", pairs: Sequence[Pair], budget: int) -> Iterator[_Masked]:
    """Yield the readings, each once: one for all changed places, or where these lie too far apart one for each."""
    known: dict[tuple[bytes, bytes], list[int]] = {}
    for number, (wild, mutant) in enumerate(pairs):
        if len(wild) == len(mutant) and len(places := changed_places(wild, mutant)):
            known.setdefault((wild.tobytes(), places.tobytes()), []).append(number)
    for numbers in known.values():
        wild, mutant = pairs[numbers[0]]
        places = changed_places(wild, mutant)
        hidden = wild.copy()
        hidden[places] = np.array(model.tokenizer.mask, wild.dtype)
        if len(wild) <= budget:
            yield _Masked(hidden, places, numbers, 0)
            continue
        for place in places:
            # the window in which the letter lies most central
            begin = int(np.clip(place - budget // 2, 0, len(wild) - budget))
            yield _Masked(hidden[begin : begin + budget], place[None] - begin, numbers, begin)
