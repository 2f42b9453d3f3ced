"""Fill-in-the-middle for proteins: hide spans behind masks and move them to the end, and back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bio_xlstm.errors import SequenceError
from bio_xlstm.positions import END, MASKS
from bio_xlstm.tokenizers.tokenizer import Tokenizer

# how many spans a sequence may have: of Poisson(1) variates up to five, at least one of them, one, none
_CHANCES = 1 / np.array([1.0, 1, 2, 6, 24, 120])
SPAN_CHANCES: dict[str, np.ndarray] = {
    "multiple": _CHANCES / _CHANCES.sum(),
    "always": np.append(0, _CHANCES[1:] / _CHANCES[1:].sum()),
    "single": np.array([0.0, 1]),
    "none": np.array([1.0]),
}
# a span is shorter than this share of the way to the next one
_LONGEST = 0.2

Ids = npt.NDArray[np.integer[Any]]


class Hidden(NamedTuple):
    """Hold a sequence with hidden spans, and the place of every token in the whole sequence."""

    ids: np.ndarray  # (T,) ... <mask-1> ... <mask-2> ... <eos> <mask-1> span <mask-2> span
    positions: np.ndarray  # (T,) int64, 1 for the first residue, as the start token before it has 0


class InfillTokens(NamedTuple):
    """Hold the ids that hide spans."""

    masks: np.ndarray  # (5,)
    end: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "InfillTokens":
        """Find the ids in a vocabulary; SequenceError where it has none."""
        index = tokenizer.vocabulary.index
        missing = [symbol for symbol in (*MASKS, END) if symbol not in index]
        if missing:
            raise SequenceError(
                f"the {tokenizer.kind} vocabulary has no {missing[0]}: nothing can be filled in"
            )
        return cls(np.array([index[symbol] for symbol in MASKS]), index[END])


def hide(ids: Ids, spans: Sequence[tuple[int, int]], tokenizer: Tokenizer) -> Hidden:
    """Hide spans (begin, end) of bare ids (T,), at most five, in their order and without overlap.

    >>> from bio_xlstm.tokenizers import TOKENIZERS
    >>> tokenizer = TOKENIZERS["protein"]()
    >>> tokenizer.decode(hide(tokenizer.encode("MKTAY"), [(1, 3)], tokenizer).ids)
    'M<mask-1>AY<eos><mask-1>KT'
    """
    _check_spans(spans, len(ids))
    symbols = InfillTokens.of(tokenizer)
    places = np.arange(1, len(ids) + 1)
    if not len(spans):
        return Hidden(np.array(ids), places)
    shown, moved = [], [(np.array([symbols.end]), np.zeros(1, np.int64))]
    done = 0
    for (begin, end), mask in zip(spans, symbols.masks, strict=False):
        masked = mask[None], places[begin : begin + 1]
        shown += [(ids[done:begin], places[done:begin]), masked]
        moved += [masked, (ids[begin:end], places[begin:end])]
        done = end
    joined, positions = zip(*shown, (ids[done:], places[done:]), *moved, strict=True)
    return Hidden(np.concatenate(joined).astype(ids.dtype), np.concatenate(positions))


def reveal(ids: Ids, tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Give back the ids (T,) and positions (T,) that `hide` began with; SequenceError for anything else."""
    symbols = InfillTokens.of(tokenizer)
    ids = np.asarray(ids)
    ends = np.flatnonzero(ids == symbols.end)
    if not len(ends):
        _check_masks(ids, [], symbols)
        return ids.copy(), np.arange(1, len(ids) + 1)
    shown, moved = ids[: ends[0]], ids[ends[0] + 1 :]
    places = np.flatnonzero(np.isin(shown, symbols.masks))
    _check_masks(moved, shown[places].tolist(), symbols)
    spans = np.split(moved, np.flatnonzero(np.isin(moved, symbols.masks)))[1:]
    parts = np.split(shown, places)
    whole = [parts[0]]
    for span, part in zip(spans, parts[1:], strict=True):
        whole += [span[1:], part[1:]]
    return np.concatenate(whole), np.arange(1, sum(map(len, whole)) + 1)


def span_counts(luck: np.ndarray, lengths: np.ndarray, how: str) -> np.ndarray:
    """Return how many spans sequences of the given lengths (S,) hide, from numbers (S,) in [0, 1).

    `how` is multiple (a Poisson variate of mean 1, at most five), always (the same, at least one), single or none.
    """
    drawn = np.searchsorted(SPAN_CHANCES[how].cumsum(), luck, side="right")
    return np.minimum(np.minimum(drawn, len(SPAN_CHANCES[how]) - 1), lengths)


def place_spans(length: int, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw that many spans of a sequence: different begins, each span short of a fifth of the way to the next."""
    begins = np.sort(rng.choice(length, count, replace=False))
    gaps = np.diff(np.append(begins, length))
    sizes = rng.integers(1, np.maximum(gaps * _LONGEST, 2).astype(np.int64))
    return list(zip(begins.tolist(), (begins + sizes).tolist(), strict=True))


def draw_spans(length: int, rng: np.random.Generator, how: str = "multiple") -> list[tuple[int, int]]:
    """Draw spans to hide in a sequence of that length; `how` as in `span_counts`."""
    count = int(span_counts(rng.random(1), np.array([length]), how)[0])
    return place_spans(length, count, rng)


def _check_spans(spans: Sequence[tuple[int, int]], length: int) -> None:
    """Refuse too many spans and spans that are empty, outside or out of order."""
    if len(spans) > len(MASKS):
        raise SequenceError(f"at most {len(MASKS)} spans can be hidden, not {len(spans)}")
    done = 0
    for begin, end in spans:
        if not done <= begin < end <= length:
            raise SequenceError(
                f"span {begin}-{end} is empty, overlaps the one before, or is not within {length} residues"
            )
        done = end


def _check_masks(moved: np.ndarray, expected: list[int], symbols: InfillTokens) -> None:
    """Refuse revealed spans that do not follow the masks one by one."""
    found = moved[np.isin(moved, symbols.masks)].tolist()
    known = symbols.masks[: len(expected)].tolist()
    inner = symbols.end in moved.tolist() or (expected and moved[:1].tolist() != expected[:1])
    if found != expected or expected != known or inner:
        raise SequenceError(
            f"{len(expected)} masks but {len(found)} spans behind {END}: every mask needs its span, in their order"
        )
