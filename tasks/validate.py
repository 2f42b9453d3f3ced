"""A dry look at an input: what is in it, what would go wrong, and what embedding it would cost."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bio_xlstm.records import Record
from bio_xlstm.tasks.files.prepare import Preparation
from bio_xlstm.tasks.process_memory import highest_memory
from bio_xlstm.tasks.writers.part import GOOD, Row

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel
    from bio_xlstm.tokenizers.tokenizer import Tokenizer

# distinct sequences whose 16-byte hashes are kept to find duplicates: at most some 120 MB
DUPLICATE_LIMIT = 1_000_000
TRIAL_SECONDS = 2.0
SAMPLE_SIZE = 256
SAMPLE_LENGTH = 8192
EXAMPLES = 5


@dataclass
class Findings:
    """Hold what a pass over the records found."""

    records: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    problems: list[Row] = field(default_factory=list)
    """The first few rows that are not ok, as `embed` would write them."""
    tokens: int = 0
    """Tokens of all sequences that can be embedded."""
    lengths: Counter[int] = field(default_factory=Counter)
    """Sequences by the power of two that their length reaches: 0 for none, 1 for 1, 2 for 2-3, 4 for 4-7."""
    shortest: int = 0
    longest: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    """Letters that are not in the vocabulary, with their number."""
    unfit: dict[str, bool] = field(default_factory=dict)
    """Whether a letter that was met is outside the vocabulary, as the tokenizer says."""
    repeated_ids: int = 0
    duplicates: int = 0
    duplicates_complete: bool = True
    """Whether duplicates were looked for in the whole file, or only until too many hashes were held."""
    sample: list[np.ndarray] = field(default_factory=list)
    """Token ids of records drawn evenly from the file, for the trial run."""

    @property
    def embeddable(self) -> int:
        """Return how many records would get an embedding."""
        return sum(self.statuses[status] for status in GOOD)


@dataclass(frozen=True)
class Cost:
    """Estimate what embedding the input takes, from a short trial run."""

    tokens_per_second: float
    seconds: float
    memory: int | None
    """Peak memory of the process in bytes; None where the system does not tell."""
    output: int
    """Size of a Parquet file with one float32 vector per record, in bytes."""


def examine(records: Iterable[Record], tokenizer: "Tokenizer") -> Findings:
    """Read all records once; memory does not grow with their number or length beyond the longest one."""
    found = Findings()
    preparation = Preparation(tokenizer, chemistry=tokenizer.kind == "smiles")
    seen_sequences: set[bytes] = set()
    seen_ids: set[bytes] = set()
    generator = np.random.default_rng(0)
    for record in records:
        found.records += 1
        row, ids = preparation.prepare(record)
        found.statuses[row.status] += 1
        if row.status != "ok" and len(found.problems) < EXAMPLES:
            found.problems.append(row)
        _count_letters(found, record, tokenizer)
        _count_length(found, len(ids))
        found.repeated_ids += _seen(seen_ids, record.id.encode(), found)
        if len(ids):
            found.duplicates += _seen(seen_sequences, ids.tobytes(), found)
            _draw(found, ids[:SAMPLE_LENGTH], generator)
    return found


def estimate_cost(found: Findings, model: "SequenceModel") -> Cost:
    """Embed a sample for some seconds and scale up to the whole input."""
    speed = trial_speed(found.sample, model, TRIAL_SECONDS)
    width = 4 * model.config.dim
    return Cost(
        tokens_per_second=speed,
        seconds=found.tokens / speed if speed else 0.0,
        memory=highest_memory(),
        # id, status and the numbers of a row take some 40 bytes beside the vector
        output=found.records * 40 + found.embeddable * width,
    )


def trial_speed(sample: list[np.ndarray], model: "SequenceModel", seconds: float) -> float:
    """Return tokens per second of embedding a sample over and over for some seconds; 0 without a sample."""
    import time

    from bio_xlstm.embedding import embed_batch

    if not sample:
        return 0.0
    batches = list(_batches(sample))
    embed_batch(model, batches[0][:1])  # what the first call sets up is paid once, not per token
    tokens, began = 0, time.perf_counter()
    while True:
        for batch in batches:
            embed_batch(model, batch)
            tokens += sum(map(len, batch))
            if (passed := time.perf_counter() - began) >= seconds:
                return tokens / passed


def _count_letters(found: Findings, record: Record, tokenizer: "Tokenizer") -> None:
    """Count letters outside the vocabulary; molecules are judged by their grammar instead."""
    if tokenizer.kind == "smiles":
        return
    for letter, count in Counter(record.text.upper()).items():
        if letter not in found.unfit:
            # gaps, digits, blanks and the stop are taken out, U and T stand for each other: no letters to report
            found.unfit[letter] = tokenizer.prepare(letter).status not in ("ok", "empty")
        if found.unfit[letter]:
            found.unknown[letter] += count


def _count_length(found: Findings, length: int) -> None:
    """Add one length to the histogram."""
    found.lengths[1 << (length.bit_length() - 1) if length else 0] += 1
    found.tokens += length
    found.longest = max(found.longest, length)
    if length:
        found.shortest = min(found.shortest or length, length)


def _seen(seen: set[bytes], data: bytes, found: Findings) -> bool:
    """Tell whether the same bytes came before, as far back as hashes are held."""
    digest = hashlib.blake2b(data, digest_size=16).digest()
    if digest in seen:
        return True
    if len(seen) < DUPLICATE_LIMIT:
        seen.add(digest)
    else:
        found.duplicates_complete = False
    return False


def _draw(found: Findings, ids: np.ndarray, generator: np.random.Generator) -> None:
    """Keep a uniform sample of the sequences seen so far (reservoir sampling)."""
    if len(found.sample) < SAMPLE_SIZE:
        found.sample.append(ids.copy())
        return
    place = int(generator.integers(found.embeddable))
    if place < SAMPLE_SIZE:
        found.sample[place] = ids.copy()


def _batches(sample: list[np.ndarray], budget: int = 8192) -> Iterator[list[np.ndarray]]:
    """Cut a sample into batches of at most `budget` tokens, like lengths together as `embed` does."""
    batch: list[np.ndarray] = []
    for ids in sorted(sample, key=len):
        if batch and sum(map(len, batch)) + len(ids) > budget:
            yield batch
            batch = []
        batch.append(ids)
    if batch:
        yield batch
