"""Reading in pieces gives what reading at once gives."""

from itertools import accumulate, pairwise

import pytest
import torch

from bio_xlstm.config import ModelConfig
from bio_xlstm.layers import block as module
from bio_xlstm.layers import pieces as reading
from bio_xlstm.layers.block import Block, SharedBlock
from bio_xlstm.layers.pieces import cut
from bio_xlstm.layers.state import LayerState, Reading

SMALL = ModelConfig(family="dna", vocabulary=8, dim=32, heads=2)


@pytest.fixture(autouse=True)
def passive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads wait without spinning, as the command line does."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")


@pytest.mark.parametrize("lengths", [(5, 3), (8,), (9, 1), (1, 30, 2, 2, 17, 8), (4, 4, 4, 4, 4)])
def test_pieces_hold_every_token_once(lengths: tuple[int, ...]) -> None:
    bounds = (0, *accumulate(lengths))
    pieces = cut(bounds, 8)
    assert [pair for piece in pieces for pair in pairwise(piece.bounds) if piece.parts == 1] == [
        pair for pair in pairwise(bounds) if pair[1] - pair[0] <= 8
    ]
    spans = [(piece.bounds[0], piece.bounds[-1]) for piece in pieces]
    assert [start for start, _ in spans] + [bounds[-1]] == [0, *(stop for _, stop in spans)]
    assert all(stop - start <= 8 for start, stop in spans)
    # a long sequence is cut from its own beginning, whatever comes before it
    assert all((piece.bounds[0] - bounds[piece.rows.start]) % 8 == 0 for piece in pieces if piece.parts > 1)


@pytest.mark.parametrize("lengths", [None, (70,), (3, 50, 7, 8, 41, 1)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_pieces_are_the_whole(
    lengths: tuple[int, ...] | None,
    reverse: bool,
    given: bool,
    with_state: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = Block(SMALL).eval()
    batch, time = (3, 45) if lengths is None else (1, sum(lengths))
    borders = None if lengths is None else torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    x = torch.randn(batch, time, 32)
    state: LayerState | None = None
    if given:
        _, state = layer(torch.randn(3 if lengths is None else len(lengths), 9, 32), Reading(with_state=True))
    with torch.no_grad():
        whole, end = layer(x, Reading(borders, state, with_state, reverse))
        shorten(monkeypatch)
        pieces, last = layer(x, Reading(borders, state, with_state, reverse))
    assert torch.allclose(pieces, whole, rtol=0, atol=2e-6)
    assert (last is None) is (end is None) is (not with_state)
    if last is not None and end is not None:
        true = [part.c * part.m.exp()[..., None, None] for part in (last.memory, end.memory)]
        assert torch.allclose(*true, rtol=1e-5, atol=1e-6)
        assert torch.allclose(last.conv, end.conv, rtol=0, atol=2e-6)


def shorten(monkeypatch: pytest.MonkeyPatch, tokens: int = 20) -> None:
    """Read small pieces."""
    monkeypatch.setattr(module, "PIECE_TOKENS", tokens)
    monkeypatch.setattr(module, "PIECE_NUMBERS", 1)


def test_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = SharedBlock(SMALL).eval(), torch.randn(2, 45, 32)
    with torch.no_grad():
        whole, _ = layer(x)
        shorten(monkeypatch)
        assert torch.allclose(layer(x)[0], whole, rtol=0, atol=2e-6)


def count_pieces(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shorten the pieces, and list how many tokens every mixer call sees."""
    seen: list[tuple[int, ...]] = []
    shorten(monkeypatch, 4)
    monkeypatch.setattr(reading, "cut", lambda *form: seen.append(form) or cut(*form))
    return seen


def test_training_reads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, layer = count_pieces(monkeypatch), Block(SMALL)
    layer(torch.randn(1, 10, 32))[0].sum().backward()
    assert not seen
    with torch.no_grad():
        layer(torch.randn(1, 10, 32))
    assert seen


def test_threads_that_spin_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, layer = count_pieces(monkeypatch), Block(SMALL)
    monkeypatch.delenv("OMP_WAIT_POLICY")
    for threads, pieces in ((2, False), (1, True)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        with torch.no_grad():
            layer(torch.randn(1, 10, 32))
        assert bool(seen) is pieces
