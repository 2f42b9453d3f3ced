"""Laws of fill-in-the-middle: what is hidden comes back, and every token knows its place in the whole."""

import numpy as np
import pytest
import torch

from bio_xlstm.errors import SequenceError
from bio_xlstm.infilling import SPAN_CHANCES, draw_spans, hide, place_spans, reveal, span_counts
from bio_xlstm.positions import read_positions
from bio_xlstm.tokenizers import TOKENIZERS

PROTEIN = TOKENIZERS["protein"]()
PEPTIDE = PROTEIN.encode("MKTAYIAKQR")


@pytest.mark.parametrize("how", SPAN_CHANCES)
@pytest.mark.parametrize("length", [1, 2, 3, 17, 300])
def test_what_is_hidden_comes_back_with_its_positions(how: str, length: int) -> None:
    rng = np.random.default_rng(length)
    for _ in range(20):
        ids = rng.integers(4, 24, length).astype(np.uint8)
        spans = draw_spans(length, rng, how)
        hidden = hide(ids, spans, PROTEIN)
        assert len(hidden.ids) == len(hidden.positions) == length + 2 * len(spans) + bool(spans)
        whole, positions = reveal(hidden.ids, PROTEIN)
        assert (whole == ids).all() and positions.tolist() == list(range(1, length + 1))


def test_every_residue_keeps_its_place_and_masks_take_that_of_the_first_hidden() -> None:
    hidden = hide(PEPTIDE, [(1, 3), (3, 4), (9, 10)], PROTEIN)
    assert PROTEIN.decode(hidden.ids) == "M<mask-1><mask-2>YIAKQ<mask-3><eos><mask-1>KT<mask-2>A<mask-3>R"
    assert hidden.positions.tolist() == [1, 2, 4, 5, 6, 7, 8, 9, 10, 0, 2, 2, 3, 4, 4, 10, 10]


def test_positions_are_those_that_a_model_reads() -> None:
    rng = np.random.default_rng(1)
    parts, expected = [], []
    for length in (40, 3, 1, 90):
        hidden = hide(rng.integers(4, 24, length), draw_spans(length, rng, "always"), PROTEIN)
        parts += [[0], hidden.ids]
        expected += [[0], hidden.positions]
    tokens = torch.from_numpy(np.concatenate(parts))[None]
    assert read_positions(tokens, None, PROTEIN).place[0].tolist() == np.concatenate(expected).tolist()


def test_span_counts_follow_poisson_up_to_five() -> None:
    luck = np.random.default_rng(0).random(200_000)
    counts = np.bincount(span_counts(luck, np.full(len(luck), 9), "multiple"), minlength=6) / len(luck)
    expected = np.exp(-1) / np.array([1, 1, 2, 6, 24, 120])
    assert np.abs(counts - expected / expected.sum()).max() < 4e-3
    assert span_counts(luck, np.full(len(luck), 9), "always").min() == 1
    assert span_counts(luck, np.full(len(luck), 2), "always").max() == 2
    assert set(span_counts(luck[:99], np.full(99, 9), "single")) == {1}
    assert span_counts(luck[:99], np.zeros(99, int), "single").max() == 0


def test_spans_are_short_and_apart() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        spans = place_spans(100, 5, rng)
        borders = [*(begin for begin, _ in spans[1:]), 100]
        for (begin, end), border in zip(spans, borders, strict=True):
            assert begin < end <= border and end - begin <= max(0.2 * (border - begin), 1)


@pytest.mark.parametrize("spans", [[(2, 2)], [(-1, 2)], [(8, 11)], [(3, 6), (5, 8)], [(5, 8), (1, 2)]])
def test_impossible_spans_are_named(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(
        SequenceError, match=r"span .* is empty, overlaps the one before, or is not within 10"
    ):
        hide(PEPTIDE, spans, PROTEIN)


def test_other_mistakes_are_named() -> None:
    with pytest.raises(SequenceError, match="at most 5 spans can be hidden, not 6"):
        hide(PEPTIDE, [(n, n + 1) for n in range(6)], PROTEIN)
    with pytest.raises(SequenceError, match="the dna vocabulary has no <mask-1>: nothing can be filled in"):
        hide(PEPTIDE, [(0, 1)], TOKENIZERS["dna"]())
    hidden = hide(PEPTIDE, [(1, 3), (5, 6)], PROTEIN).ids
    first = int(PROTEIN.vocabulary.index["<mask-1>"])
    for broken in (hidden[:-2], hidden[hidden != first], np.append(PEPTIDE, first), np.append(hidden, 2)):
        with pytest.raises(SequenceError, match="every mask needs its span, in their order"):
            reveal(broken, PROTEIN)
