"""Cut packed sequences into tiles of L tokens, grouped so that a few tiles at a time stay in the cache.

Tiles are ordered by segment, then by wave, then by sequence. Wave s holds chunk s of every sequence long enough; the
sequences of a group are sorted by length, so the sequences of a wave are always the first rows of the group's state.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class Segment(NamedTuple):
    """Name the tiles that are handled together."""

    group: slice  # rows of the sorted sequences whose states it advances
    tiles: slice  # its tiles, in the order of the plan
    chunks: slice  # its waves
    waves: tuple[int, ...]  # sequences in each wave
    first: bool  # it holds the first chunk of its group
    last: bool  # it holds the last chunk of its group


class Plan(NamedTuple):
    """Say which token stands where."""

    size: int  # L
    tokens: int  # T
    sequences: int  # N
    segments: tuple[Segment, ...]
    order: Tensor | None  # (N,) sequences sorted by length, None when they already are
    grid: tuple[int, int] | None  # (N, chunks of each) when every sequence is cut evenly: tiles are views
    read: Tensor  # (tiles, L) token of each slot; padding slots repeat a real token
    write: Tensor  # (tiles, L) the same, padding slots point behind the last token
    ragged: bool  # there are padding slots


def _waves(counts: list[int], limit: int) -> list[tuple[slice, slice, tuple[int, ...]]]:
    """Split sorted chunk counts into (group, chunks, waves) of at most about ``limit`` tiles."""
    pieces = []
    for low in range(0, len(counts), limit):
        group = counts[low : low + limit]
        start, waves, tiles = 0, [], 0
        for chunk in range(group[0]):
            active = sum(count > chunk for count in group) if chunk else len(group)
            if waves and tiles + active > limit:
                pieces.append((slice(low, low + len(group)), slice(start, chunk), tuple(waves)))
                start, waves, tiles = chunk, [], 0
            waves.append(active)
            tiles += active
        pieces.append((slice(low, low + len(group)), slice(start, group[0]), tuple(waves)))
    return pieces


@lru_cache(maxsize=32)
def plan_tiles(bounds: tuple[int, ...], size: int, limit: int, reverse: bool, device: torch.device) -> Plan:
    """Plan the tiles of the sequences between ``bounds``, about ``limit`` tiles to a segment."""
    lengths = [stop - start for start, stop in pairwise(bounds)]
    counts = [-(-length // size) for length in lengths]
    order = sorted(range(len(counts)), key=lambda row: -counts[row])
    sorted_counts = [counts[row] for row in order]
    segments: list[Segment] = []
    corners: list[tuple[int, int]] = []  # (sequence, chunk) of each tile
    for group, chunks, waves in _waves(sorted_counts, limit):
        first_tile = len(corners)
        for chunk, active in zip(range(chunks.start, chunks.stop), waves, strict=True):
            corners.extend((order[group.start + row], chunk) for row in range(active))
        ends = chunks.stop == sorted_counts[group.start]
        segments.append(Segment(group, slice(first_tile, len(corners)), chunks, waves, chunks.start == 0, ends))
    even = not reverse and len(set(lengths)) == 1 and lengths[0] % size == 0
    read, write = _tokens(bounds, size, corners, reverse, device)
    moved = order != list(range(len(order)))
    return Plan(
        size=size,
        tokens=bounds[-1],
        sequences=len(lengths),
        segments=tuple(segments),
        order=torch.tensor(order, device=device) if moved else None,
        grid=(len(lengths), counts[0]) if even else None,
        read=read,
        write=write,
        ragged=any(length % size for length in lengths),
    )


def _tokens(
    bounds: tuple[int, ...], size: int, corners: list[tuple[int, int]], reverse: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the token of every slot, (tiles, L), for reading and for writing."""
    sequence, chunk = torch.tensor(corners).unbind(1)
    edges = torch.tensor(bounds)
    start, stop = edges[sequence][:, None], edges[sequence + 1][:, None]
    offset = chunk[:, None] * size + torch.arange(size)  # (tiles, L) position in reading order
    token = stop - 1 - offset if reverse else start + offset
    padding = offset >= stop - start
    read = torch.where(padding, start, token)
    write = torch.where(padding, edges[-1], token)
    return read.to(device), write.to(device)


def load(plan: Plan, segment: Segment, x: Tensor) -> Tensor:
    """Return the tiles of a segment, (G, H, L, ...), of token-major x (T, H, ...); a view where possible."""
    if plan.grid is not None:
        return _view(plan, segment, x).flatten(0, 1)
    rows = x.index_select(0, plan.read[segment.tiles].reshape(-1))  # (G * L, H, ...)
    return rows.view(-1, plan.size, *x.shape[1:]).transpose(1, 2)


def store(plan: Plan, segment: Segment, tile: Tensor, out: Tensor) -> None:
    """Write the tiles of a segment, (G, H, L, ...), into token-major out (T + 1, H, ...)."""
    if plan.grid is not None:
        target = _view(plan, segment, out[: plan.tokens])
        target.copy_(tile.view(target.shape))
    else:
        rows = tile.transpose(1, 2).reshape(-1, *out.shape[1:])  # (G * L, H, ...)
        out.index_copy_(0, plan.write[segment.tiles].reshape(-1), rows.to(out.dtype))


def _view(plan: Plan, segment: Segment, x: Tensor) -> Tensor:
    """Return the segment of an evenly cut x (T, H, ...) as a view (waves, sequences, H, L, ...)."""
    assert plan.grid is not None
    grid = x.view(*plan.grid, plan.size, *x.shape[1:])  # (N, chunks, L, H, ...)
    return grid[segment.group, segment.chunks].transpose(0, 1).transpose(2, 3)
