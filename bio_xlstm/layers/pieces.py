"""Read many tokens a piece at a time, so that what lies between the steps of a block stays in the processor's cache.

Only inference on a CPU does this: training keeps what lies between anyway.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.kernels.packing import check_cu_seqlens, find_bounds
from bio_xlstm.layers.state import LayerState, Reading, join

# takes tokens (B, T, D), how to read them, and where the result is wanted
Read = Callable[[Tensor, Reading, Tensor | None], tuple[Tensor, LayerState | None]]


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


def read_long(read: Read, x: Tensor, reading: Reading, tokens: int) -> tuple[Tensor, LayerState | None]:
    """Return what `read` makes of x (B, T, D), a piece of so many tokens at a time where that is faster."""
    batch, time, _ = x.shape
    if batch * time <= tokens or x.device.type != "cpu" or torch.is_grad_enabled() or _threads_spin():
        return read(x, reading, None)
    if reading.cu_seqlens is not None:
        check_cu_seqlens(reading.cu_seqlens, batch, time)
    bounds, flat = find_bounds(batch, time, reading.cu_seqlens), x.flatten(0, 1)[None]
    y, after = _read_in_pieces(read, flat, reading, cut(bounds, tokens))
    return y.view_as(x), after


def _threads_spin() -> bool:
    """Tell whether torch's threads keep their cores busy for a while after each product, as GNU OpenMP does unasked.

    Compiled loops and products alternate within a piece, and would wait for the cores more than the cache gains.
    """
    passive = os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive"
    return torch.get_num_threads() > 1 and not passive and os.environ.get("GOMP_SPINCOUNT") != "0"


def _read_in_pieces(
    read: Read, x: Tensor, reading: Reading, pieces: tuple[Piece, ...]
) -> tuple[Tensor, LayerState | None]:
    """Call read on pieces of x (1, T, D), one after the other; return (1, T, D) and the state."""
    out = torch.empty_like(x)
    carried: LayerState | None = None
    ends: list[LayerState] = []
    for piece in reversed(pieces) if reading.reverse else pieces:
        span = slice(piece.bounds[0], piece.bounds[-1])
        opening, closing = (piece.parts - 1, 0) if reading.reverse else (0, piece.parts - 1)
        if piece.part == opening:
            carried = None if reading.state is None else reading.state.select(piece.rows)
        local = torch.tensor([bound - span.start for bound in piece.bounds], dtype=torch.int32)
        _, carried = read(
            x[:, span],
            reading._replace(
                cu_seqlens=local,
                state=carried,
                with_state=reading.with_state or piece.part != closing,
                rotation=None if reading.rotation is None else reading.rotation.piece(span),
            ),
            out[:, span],
        )
        if reading.with_state and piece.part == closing:
            assert carried is not None
            ends.append(carried)
    return out, join(ends[::-1] if reading.reverse else ends) if reading.with_state else None
