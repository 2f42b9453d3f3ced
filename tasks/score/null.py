"""Null models: what a sequence would score if nothing but its letters were known."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bio_xlstm.errors import InputError
from bio_xlstm.likelihoods import asked_ids, next_tokens
from bio_xlstm.records import Record
from bio_xlstm.tasks.baselines import Markov, Stream
from bio_xlstm.tasks.files.prepare import Preparation
from bio_xlstm.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from bio_xlstm.tasks.score.compute import Scorer

# letters before a letter that a Markov model looks at: as many as the tokens of one small file can tell
ORDERS = {"dna": 5, "protein": 2, "smiles": 3, "tokens": 2}
# tokens of the input that are counted, from its beginning
COUNTED = 4_000_000
SHUFFLES = 4


class Null(Protocol):
    """Give the log-likelihood of sequences under a null model, in nats."""

    def __call__(self, scorer: "Scorer", sequences: Sequence[np.ndarray], budget: int) -> list[float]:
        """Score sequences of token ids."""


class CountedNull:
    """Predict letters from how often they stand in the input, after the letters before them (order 0: alone)."""

    def __init__(self, tokenizer: Tokenizer, order: int, strands: Sequence[str], *, stops: bool) -> None:
        self.tokenizer, self.strands, self.stops = tokenizer, strands, stops
        self.markov = Markov(order, len(tokenizer.vocabulary), asked_ids(tokenizer, stops=stops))

    def fit(self, records: Iterable[Record], name: str) -> "CountedNull":
        """Count the first tokens of an input; InputError where it holds none."""
        prepare = Preparation(self.tokenizer, chemistry=False).prepare
        found, tokens = [], 0
        for record in records:
            ids = prepare(record).ids[: COUNTED - tokens]
            found += [ids] if len(ids) else []
            tokens += len(ids)
            if tokens >= COUNTED:
                break
        if not found:
            raise InputError(f"{name} holds nothing that a null model could count")
        self.markov.fit(self._stream(self._read(found)))
        return self

    def __call__(self, scorer: "Scorer", sequences: Sequence[np.ndarray], budget: int) -> list[float]:
        """Score sequences of token ids, on the strands that the model reads."""
        stream = self._stream(self._read(sequences))
        nats = np.zeros(len(stream.targets))
        nats[stream.targets >= 0] = self.markov.nats(stream)
        sums = -np.add.reduceat(nats, stream.offsets[:-1])
        totals: list[float] = sums.reshape(len(self.strands), -1).mean(0).tolist()
        return totals

    def _read(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the sequences of every strand, one strand after the other."""
        turn = self.tokenizer.reverse_complement
        return [ids if strand == "forward" else turn(ids) for strand in self.strands for ids in sequences]

    def _stream(self, sequences: Sequence[np.ndarray]) -> Stream:
        """Lay sequences out as the model reads them."""
        start = [] if self.tokenizer.start is None else [self.tokenizer.start]
        inputs = [np.concatenate((start, ids)).astype(np.int64) for ids in sequences]
        targets = [next_tokens(self.tokenizer, ids) for ids in sequences]
        if not self.stops:
            targets = [np.append(ids[:-1], -1) for ids in targets]
        offsets = np.concatenate(([0], np.cumsum([len(ids) for ids in inputs])))
        return Stream(np.concatenate(inputs), np.concatenate(targets), offsets)


class ShuffledNull:
    """Ask the model itself about the same letters in random order, and average over some of these orders."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, scorer: "Scorer", sequences: Sequence[np.ndarray], budget: int) -> list[float]:
        """Score sequences of token ids."""
        shuffled = [ids for one in sequences for ids in self._orders(one)]
        totals = [score.total for score in scorer.scores(shuffled, budget)]
        means: list[float] = np.reshape(totals, (len(sequences), SHUFFLES)).mean(1).tolist()
        return means

    def _orders(self, ids: np.ndarray) -> list[np.ndarray]:
        """Shuffle a sequence; the orders depend on the seed and the sequence alone."""
        rng = np.random.default_rng(
            [self.seed & (2**63 - 1), *np.frombuffer(_digest(ids), np.uint32).tolist()]
        )
        return [rng.permutation(ids) for _ in range(SHUFFLES)]


def _digest(ids: np.ndarray) -> bytes:
    from hashlib import sha256

    return sha256(ids.astype("<u4").tobytes()).digest()
