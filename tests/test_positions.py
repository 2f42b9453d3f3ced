"""Laws of positions: read in pieces as in one, packed as alone, and places restart with every start token."""

import pytest
import torch
from torch import Tensor

from bio_xlstm.positions import Places, read_positions
from bio_xlstm.tokenizers import TOKENIZERS
from bio_xlstm.tokenizers.tokenizer import Tokenizer

PROTEIN = TOKENIZERS["protein"]()
SMILES = TOKENIZERS["smiles"]()
START = 0


def slow(tokens: list[int], start: int | None, place: int = 0, seen: int = 0) -> tuple[list[int], list[int]]:
    """Count one token after the other."""
    places, numbers = [], []
    for token in tokens:
        if token == start:
            place, seen = 0, seen + 1
        places.append(place)
        numbers.append(max(seen - 1, 0))
        place += 1
    return places, numbers


def proteins(count: int, length: int, seed: int = 0) -> Tensor:
    """Make contexts with a start token here and there."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(4, 24, (count, length), generator=generator)
    tokens[torch.rand((count, length), generator=generator) < 0.1] = START
    return tokens


@pytest.mark.parametrize("tokenizer", [PROTEIN, SMILES, TOKENIZERS["dna"]()], ids=lambda t: t.kind)
def test_places_restart_with_every_start_token(tokenizer: Tokenizer) -> None:
    tokens = torch.randint(0, 12, (3, 57), generator=torch.Generator().manual_seed(1))
    tokens[tokens == 2] = 3  # the end of a protein with hidden spans
    found = read_positions(tokens, None, tokenizer)
    for row, place, sequence in zip(tokens.tolist(), found.place, found.sequence, strict=True):
        assert (place.tolist(), sequence.tolist()) == slow(row, tokenizer.start)


def test_packed_sequences_are_read_as_alone() -> None:
    tokens = proteins(1, 60)
    borders = torch.tensor([0, 7, 7, 8, 41, 60, 60], dtype=torch.int32)
    whole = read_positions(tokens, borders, PROTEIN)
    for number, (begin, end) in enumerate(zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)):
        alone = read_positions(tokens[:, begin:end], None, PROTEIN)
        assert torch.equal(whole.place[:, begin:end], alone.place)
        assert torch.equal(whole.sequence[:, begin:end], alone.sequence)
        assert [int(part[number]) for part in whole.after] == [int(part[0]) for part in alone.after]


@pytest.mark.parametrize("cut", [0, 1, 2, 30, 49, 50])
def test_reading_continues_where_it_stopped(cut: int) -> None:
    tokens = proteins(4, 50, seed=cut)
    whole = read_positions(tokens, None, PROTEIN)
    head = read_positions(tokens[:, :cut], None, PROTEIN)
    tail = read_positions(tokens[:, cut:], None, PROTEIN, head.after)
    assert torch.equal(torch.cat([head.place, tail.place], 1), whole.place)
    assert torch.equal(torch.cat([head.sequence, tail.sequence], 1), whole.sequence)
    assert all(map(torch.equal, tail.after, whole.after))


def test_one_token_at_a_time_is_the_same() -> None:
    tokens = proteins(2, 25)
    whole = read_positions(tokens, None, PROTEIN)
    before: Places | None = None
    for place in range(25):
        step = read_positions(tokens[:, place : place + 1], None, PROTEIN, before)
        assert torch.equal(step.place[:, 0], whole.place[:, place])
        before = step.after


def test_a_protein_without_a_start_token_begins_at_zero() -> None:
    found = read_positions(torch.tensor([[20, 15, START, 15]]), None, PROTEIN)
    assert found.place.tolist() == [[0, 1, 0, 1]] and found.sequence.tolist() == [[0, 0, 0, 0]]
    assert (found.after.place.tolist(), found.after.sequence.tolist()) == ([2], [1])


def ids(text: str) -> Tensor:
    """Read symbols parted by blanks."""
    return torch.tensor([[PROTEIN.vocabulary.index[symbol] for symbol in text.split()]])


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("<cls> M <mask-1> K <eos> <mask-1> A A", [0, 1, 2, 4, 0, 2, 2, 3]),
        ("<cls> <mask-1> <mask-2> K <eos> <mask-1> A <mask-2> V", [0, 1, 2, 3, 0, 1, 1, 2, 2]),
        # the span is not there yet, or partly
        ("<cls> M <mask-1> K L", [0, 1, 2, 2, 3]),
        ("<cls> M <mask-1> K <eos> <mask-1>", [0, 1, 2, 2, 0, 2]),
        ("<cls> M <mask-1> K <eos> <mask-1> A <cls> K", [0, 1, 2, 3, 0, 2, 2, 0, 1]),
        # a span without its mask counts from the end on
        ("<cls> M <eos> <mask-2> A A", [0, 1, 0, 1, 1, 2]),
        # the same masks in two proteins
        (
            "<cls> <mask-1> K <eos> <mask-1> A A <cls> M <mask-1> K <eos> <mask-1> A",
            [0, 1, 3, 0, 1, 1, 2, 0, 1, 2, 3, 0, 2, 2],
        ),
    ],
)
def test_residues_have_their_place_in_the_whole_protein(text: str, places: list[int]) -> None:
    assert read_positions(ids(text), None, PROTEIN).place.tolist() == [places]


def test_hidden_spans_of_packed_proteins_do_not_mix() -> None:
    tokens = ids("<cls> M <mask-1> K <eos> <mask-1> A A <mask-1> K <eos> <mask-1> G")
    packed = read_positions(tokens, torch.tensor([0, 8, 13]), PROTEIN)
    assert packed.place[0, 8:].tolist() == [0, 1, 0, 0, 0]
    assert packed.after.place.tolist() == [4, 1]


def test_generation_goes_on_within_a_span() -> None:
    tokens = ids("<cls> M <mask-1> K L <eos> <mask-1> A G")
    before = read_positions(tokens[:, :8], None, PROTEIN).after
    assert read_positions(tokens[:, 8:], None, PROTEIN, before).place.tolist() == [[3]]


def test_nothing_read_changes_nothing() -> None:
    before = Places(torch.tensor([3, 9]), torch.tensor([1, 0]))
    found = read_positions(torch.zeros((2, 0), dtype=torch.int64), None, PROTEIN, before)
    assert found.place.shape == (2, 0) and all(map(torch.equal, found.after, before))
