"""From a record to token ids, or to the status and the reason why there are none."""

import os
import re
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from bio_xlstm.records import Record, place
from bio_xlstm.tasks.writers.part import Row
from bio_xlstm.tokenizers.tokenizer import Tokenizer

Unit = tuple[int, list[Record]]
_POSITION = re.compile(r" at position \d+")
_READABLE = ("ok", "cleaned")


class Ready(NamedTuple):
    """Hold a row and its token ids, which are empty unless the row can be embedded."""

    row: Row
    ids: np.ndarray  # (T,)


@dataclass(frozen=True)
class Preparation:
    """Turn records into rows and token ids by the policy for bad input."""

    tokenizer: Tokenizer
    chemistry: bool  # whether molecules must be readable by RDKit
    max_length: int | None = None

    def __call__(self, records: list[Record]) -> list[Ready]:
        """Prepare the records of one unit, in order."""
        return [self.prepare(record) for record in records]

    def prepare(self, record: Record) -> Ready:
        """Prepare one record; it never fails, whatever the record holds."""
        if record.status != "ok":
            return _refused(record, record.status, record.detail)
        found = self.tokenizer.prepare(record.text)
        if self.chemistry and found.status in (*_READABLE, "unknown_token"):
            reason = self._chemistry_reason(record.text, found.ids)
            if reason is not None:
                return _refused(record, "invalid_smiles", reason)
        if found.status not in _READABLE:
            # a token of a molecule is named with its position; letters are not
            position = None if self.tokenizer.kind == "smiles" else found.position
            return _refused(record, found.status, placed(record, found.detail, position))
        length = len(found.ids)
        if self.max_length is not None and length > self.max_length:
            detail = f"{length} tokens are more than --max-length {self.max_length}"
            return Ready(Row(record.row, record.id, length, "too_long", detail), found.ids[:0])
        return Ready(Row(record.row, record.id, length, found.status, found.detail), found.ids)

    def _chemistry_reason(self, text: str, ids: np.ndarray) -> str | None:
        """Ask RDKit about what the model would read: the text after cleaning."""
        from bio_xlstm.records.chemistry import parse_reason

        return parse_reason(self.tokenizer.decode(ids) if len(ids) else text.strip())


def placed(record: Record, detail: str, position: int | None) -> str:
    """Put the place of a symbol in front of what is wrong with it."""
    if position is None:
        return detail
    line, column = place(record, position)
    where = f"line {line} column {column}" if line else f"position {position + 1}"
    # the place in the file says more than the place in the sequence
    return f"{where}: {_POSITION.sub('', detail, count=1)}"


def _refused(record: Record, status: str, detail: str) -> Ready:
    return Ready(Row(record.row, record.id, 0, status, detail), np.empty(0, np.uint8))


def prepared_units(
    units: Iterable[Unit], preparation: Preparation, workers: int
) -> Iterator[tuple[int, list[Ready]]]:
    """Prepare numbered units in order; with workers, the next ones are prepared in other processes meanwhile."""
    if workers < 1:
        for number, records in units:
            yield number, preparation(records)
        return
    # not fork: torch already runs threads in this process
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker, (preparation,))
    with closing(_ahead(pool, units, workers)) as results:
        yield from results


def _ahead(
    pool: ProcessPoolExecutor, units: Iterable[Unit], workers: int
) -> Generator[tuple[int, list[Ready]], None, None]:
    """Keep every worker and one unit more in flight."""
    waiting: deque[tuple[int, Future[list[Ready]]]] = deque()
    try:
        for number, records in units:
            waiting.append((number, pool.submit(_work, [record._replace(fields=None) for record in records])))
            if len(waiting) > workers + 1:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_preparation: Preparation | None = None  # of a worker process, set once when it starts


def _begin_worker(preparation: Preparation) -> None:
    global _preparation
    _preparation = preparation
    # an interrupt is the main process's business
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(records: list[Record]) -> list[Ready]:
    assert _preparation is not None
    return _preparation(records)


def choose_workers(asked: int | None, *, chemistry: bool, device: str, records: int) -> int:
    """Return how many processes check molecules: none where the CPU embeds too, or where there is little to check."""
    if asked is not None:
        return asked
    if not chemistry or device == "cpu" or records < 20_000:
        return 0
    return max(0, min(8, (os.cpu_count() or 1) - 1))
