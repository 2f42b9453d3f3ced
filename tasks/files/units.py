"""Units of work: runs of whole records, cut by the input and the options alone."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bio_xlstm.records import Record

UNIT_RECORDS = 4096
# several batches per unit, so that each can be filled with sequences of like length; fewer when every token is kept
BATCHES_PER_UNIT = 16
BATCHES_PER_TOKEN_UNIT = 4


class Survey(NamedTuple):
    """Count what a run will read."""

    records: int
    letters: int
    longest: int
    names: int
    """Bytes of all ids."""


def selected(source: Iterable[Record], limit: int | None, shard: tuple[int, int]) -> Iterator[Record]:
    """Yield the first `limit` records, and of those the ones whose row number falls to this shard (i of n)."""
    mine, shards = shard
    for record in source:
        if limit is not None and record.row >= limit:
            return
        if record.row % shards == mine - 1:
            yield record


def unit_tokens(batch_tokens: int, per_token: bool) -> int:
    """Return how many letters a unit may hold."""
    return batch_tokens * (BATCHES_PER_TOKEN_UNIT if per_token else BATCHES_PER_UNIT)


def cut_units(records: Iterable[Record], tokens: int) -> Iterator[list[Record]]:
    """Cut records into runs of at most `tokens` letters; a longer record is a unit of its own."""
    unit: list[Record] = []
    letters = 0
    for record in records:
        if unit and (letters + len(record.text) > tokens or len(unit) == UNIT_RECORDS):
            yield unit
            unit, letters = [], 0
        unit.append(record)
        letters += len(record.text)
    if unit:
        yield unit


def survey(records: Iterable[Record]) -> Survey:
    """Read through records once and count them."""
    count = letters = longest = names = 0
    for record in records:
        count += 1
        letters += len(record.text)
        longest = max(longest, len(record.text))
        names += len(record.id.encode())
    return Survey(count, letters, longest, names)
