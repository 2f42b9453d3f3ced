"""Cut packed sequences into chunks of at most L tokens, and long runs of chunks into segments."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

LONG_CHUNK = 256  # chunk length where heads are wide: fewer memories to write, more work inside the chunks
SHORT_CHUNK = 128
SEGMENT = 32  # chunks of a segment


class Segments(NamedTuple):
    """Say which chunks a segment holds and which segments a sequence holds."""

    chunks: Tensor  # (S + 1,) int64
    sequences: Tensor  # (N + 1,) int64


class Plan(NamedTuple):
    """Say which token stands where."""

    tile: int  # tokens of a tile
    tiles: int  # tiles of a full chunk
    tokens: int  # T
    sequences: int  # N
    chunks: int  # G
    longest: int  # chunks of the longest sequence
    reverse: bool
    first: Tensor  # (G,) int64 token each chunk reads first
    size: Tensor  # (G,) int64 tokens of each chunk
    bounds: Tensor  # (N + 1,) int64 chunks of each sequence
    segments: Segments | None  # where sequences are so long that the scan over chunks is cut too


def choose_sizes(longest: int, widest: int, chunk_size: int | None, limit: int) -> tuple[int, int]:
    """Return the tokens of a tile and the tiles of a chunk for the longest sequence and the widest head.

    A tile holds at most ``limit`` tokens; a sequence that fits one chunk of the long kind is not cut at all.
    """
    usual = LONG_CHUNK if longest <= LONG_CHUNK or widest > 128 else SHORT_CHUNK
    wanted = min(longest, usual if chunk_size is None else chunk_size)
    # a matrix product needs at least 16 rows
    tile = max(16, min(limit, 1 << (wanted - 1).bit_length()))
    return tile, -(-wanted // tile)


def _cut(bounds: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut runs between bounds into pieces of ``size``: pieces of each run (N + 1,), run and offset of each piece."""
    counts = (bounds.diff() + size - 1) // size
    pieces = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    run = torch.repeat_interleave(torch.arange(len(counts)), counts)
    return pieces, run, (torch.arange(len(run)) - pieces[run]) * size


# what is kept must serve training too, even if inference asked for it first
@lru_cache(maxsize=32)
@torch.inference_mode(False)
def plan_chunks(
    bounds: tuple[int, ...], tile: int, tiles: int, reverse: bool, segment: int, device: torch.device
) -> Plan:
    """Plan the chunks of the sequences between ``bounds``; cut runs of more than two segments into segments."""
    edges, length = torch.tensor(bounds), tile * tiles
    chunks, run, offset = _cut(edges, length)
    start, stop = edges[run], edges[run + 1]
    first = stop - 1 - offset if reverse else start + offset
    size = (stop - start - offset).clamp(max=length)
    longest = int(chunks.diff().max())
    parts = [first, size, chunks]
    if longest > 2 * segment:
        sequences, run, offset = _cut(chunks, segment)
        parts += [torch.cat([chunks[run] + offset, chunks[-1:]]), sequences]
    # one copy to the device instead of several
    moved = torch.cat(parts).to(device).split([len(part) for part in parts])
    segments = Segments(moved[3], moved[4]) if len(parts) > 3 else None
    return Plan(
        tile=tile,
        tiles=tiles,
        tokens=bounds[-1],
        sequences=len(bounds) - 1,
        chunks=len(first),
        longest=longest,
        reverse=reverse,
        first=moved[0],
        size=moved[1],
        bounds=moved[2],
        segments=segments,
    )
