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
    read: Tensor  # (tiles, H, L) row of each slot in tokens times heads; padding slots repeat a real token
    write: Tensor  # (tiles, H, L) the same, padding slots point behind the last token
    padding: Tensor | None  # (tiles, 1, L) true in padding slots, None without any


def _waves(counts: list[int], limit: int) -> list[tuple[slice, slice, tuple[int, ...]]]:
    """Split sorted chunk counts into (group, chunks, waves) of at most about ``limit`` tiles."""
    pieces = []
    for low in range(0, len(counts), limit):
        group = counts[low : low + limit]
        start, tiles = 0, 0
        waves: list[int] = []
        for chunk in range(group[0]):
            active = sum(count > chunk for count in group) if chunk else len(group)
            if waves and tiles + active > limit:
                pieces.append((slice(low, low + len(group)), slice(start, chunk), tuple(waves)))
                start, waves, tiles = chunk, [], 0
            waves.append(active)
            tiles += active
        pieces.append((slice(low, low + len(group)), slice(start, group[0]), tuple(waves)))
    return pieces


# what is kept must serve training too, even if inference asked for it first
@lru_cache(maxsize=32)
@torch.inference_mode(False)
def plan_tiles(
    bounds: tuple[int, ...], size: int, heads: int, limit: int, reverse: bool, device: torch.device
) -> Plan:
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
        segments.append(
            Segment(group, slice(first_tile, len(corners)), chunks, waves, chunks.start == 0, ends)
        )
    read, write, padding = _rows(bounds, size, heads, corners, reverse)
    moved = order != list(range(len(order)))
    return Plan(
        size=size,
        tokens=bounds[-1],
        sequences=len(lengths),
        segments=tuple(segments),
        order=torch.tensor(order, device=device) if moved else None,
        read=read.to(device),
        write=write.to(device),
        padding=padding.to(device) if padding.any() else None,
    )


def _rows(
    bounds: tuple[int, ...], size: int, heads: int, corners: list[tuple[int, int]], reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the row of every slot for reading and for writing (tiles, H, L), and which slots are padding."""
    sequence, chunk = torch.tensor(corners).unbind(1)
    edges = torch.tensor(bounds)
    start, stop = edges[sequence][:, None], edges[sequence + 1][:, None]
    offset = chunk[:, None] * size + torch.arange(size)  # (tiles, L) position in reading order
    token = stop - 1 - offset if reverse else start + offset
    padding = offset >= stop - start
    head = torch.arange(heads)[:, None]
    read = torch.where(padding, start, token)[:, None] * heads + head  # (tiles, H, L)
    write = torch.where(padding, edges[-1], token)[:, None] * heads + head
    return read, write, padding[:, None]


def load(plan: Plan, segment: Segment, x: Tensor) -> Tensor:
    """Copy the tiles of a segment, (G, H, L, ...), from token-major x (T, H, ...)."""
    index = plan.read[segment.tiles]
    return x.flatten(0, 1).index_select(0, index.flatten()).view(*index.shape, *x.shape[2:])


def store(plan: Plan, segment: Segment, tile: Tensor, out: Tensor) -> None:
    """Write the tiles of a segment, (G, H, L, ...), into token-major out (T + 1, H, ...)."""
    index = plan.write[segment.tiles]
    out.flatten(0, 1).index_copy_(0, index.flatten(), tile.flatten(0, 2).to(out.dtype))
