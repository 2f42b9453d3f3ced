"""Read many tokens a piece at a time, so that what lies between the steps of a layer stays in the processor's cache.

Only inference does this: training keeps what lies between anyway.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.kernels.mlstm import MlstmState

State = tuple[MlstmState, Tensor]
Read = Callable[[Tensor, Tensor, State | None, bool], tuple[Tensor, State | None]]


class Piece(NamedTuple):
    """Name some whole sequences, or a part of a long one."""

    bounds: tuple[int, ...]  # where its sequences begin and end, in tokens
    rows: slice  # its sequences
    part: int  # which part of the sequence it is
    parts: int  # of how many


@lru_cache(maxsize=32)
def cut(bounds: tuple[int, ...], tokens: int) -> tuple[Piece, ...]:
    """Gather whole sequences up to so many tokens; cut longer ones, from their beginning, into parts of so many."""
    pieces: list[Piece] = []
    first = 0  # of the sequences not yet in a piece
    for row, (start, stop) in enumerate(pairwise(bounds)):
        if first < row and stop - bounds[first] > tokens:
            pieces.append(Piece(bounds[first : row + 1], slice(first, row), 0, 1))
            first = row
        if stop - start > tokens:
            edges = [*range(start, stop, tokens), stop]
            whole = slice(row, row + 1)
            pieces += [Piece(pair, whole, part, len(edges) - 1) for part, pair in enumerate(pairwise(edges))]
            first = row + 1
    if first < len(bounds) - 1:
        pieces.append(Piece(bounds[first:], slice(first, len(bounds) - 1), 0, 1))
    return tuple(pieces)


def read_in_pieces(
    read: Read,
    x: Tensor,
    bounds: tuple[int, ...],
    tokens: int,
    state: State | None,
    reverse: bool,
    with_state: bool,
) -> tuple[Tensor, State | None]:
    """Call read(x, cu_seqlens, state, with_state) on pieces of x (1, T, D); return (1, T, D) and the state."""
    pieces = cut(bounds, tokens)
    out = torch.empty_like(x)
    carried: State | None = None
    ends: list[State] = []
    for piece in reversed(pieces) if reverse else pieces:
        span = slice(piece.bounds[0], piece.bounds[-1])
        opening, closing = (piece.parts - 1, 0) if reverse else (0, piece.parts - 1)
        given = _select(state, piece.rows) if piece.part == opening else carried
        local = torch.tensor([bound - span.start for bound in piece.bounds], dtype=torch.int32)
        out[:, span], carried = read(x[:, span], local, given, with_state or piece.part != closing)
        if with_state and piece.part == closing:
            assert carried is not None
            ends.append(carried)
    return out, _join(ends[::-1] if reverse else ends) if with_state else None


def _select(state: State | None, rows: slice) -> State | None:
    """Pick sequences."""
    if state is None:
        return None
    return MlstmState(*(part[rows] for part in state[0])), state[1][rows]


def _join(states: list[State]) -> State:
    """Put the states of all sequences together."""
    memories, windows = zip(*states, strict=True)
    return MlstmState(*(torch.cat(parts) for parts in zip(*memories, strict=True))), torch.cat(windows)
