"""Interpolated back-off Markov model of any order (order 0: the unigram model)."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.tasks.baselines.contexts import Counts, Evidence, Stream, context_codes, count, look_up

_DISCOUNTS = (0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85)
_STRENGTHS = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0)
_PASSES = 2
_TUNING_TOKENS = 50_000


class Markov:
    """Predict the next token from the last `order` tokens, interpolating all shorter contexts.

    With n(c, x) the times token x followed context c, N(c) all tokens and t(c) different tokens after c,

        p_k(x | c) = (max(n(c, x) - d_k, 0) + (a_k + d_k t(c)) p_{k-1}(x | c')) / (N(c) + a_k)

    where c' drops the oldest token of c and p_{-1} is uniform over the tokens that may be predicted. This is
    the hierarchical Pitman-Yor back-off with one table per type (Teh 2006); d = 0 is the Dirichlet back-off,
    a = 0 absolute discounting. The discount d_k and strength a_k of every order are tuned by `tune`.

    Example::

        markov = Markov(order=5, vocabulary=len(tokenizer.vocabulary), targets=tokenizer.targets)
        markov.fit(training_stream).tune(other_stream)
        nats = markov.nats(held_out_stream)          # (P,) one per predicted token
    """

    def __init__(self, order: int, vocabulary: int, targets: np.ndarray) -> None:
        self.order = order
        self.base = vocabulary + 1  # one more symbol stands for "before the sequence"
        self.uniform = 1.0 / int(np.sum(targets))
        self.discounts = np.full(order + 1, 0.5)
        self.strengths = np.ones(order + 1)
        self.counts: list[Counts] = []

    def fit(self, stream: Stream) -> "Markov":
        """Count a training stream."""
        self.counts = self._count(stream)
        return self

    def tune(self, stream: Stream) -> "Markov":
        """Choose the smoothing that predicts a stream (a part of a long one) best; the counts stay."""
        evidence = self._evidence(stream)
        # parameters this few need no more tokens
        stride = max(1, len(evidence[0].times) // _TUNING_TOKENS)
        self._tune([Evidence(*(field[::stride] for field in seen)) for seen in evidence])
        return self

    def nats(self, stream: Stream) -> np.ndarray:
        """Return -log p of every predicted token in order, (P,) float64, in nats."""
        return -np.log(self._interpolate(self._evidence(stream)))

    def _count(self, stream: Stream) -> list[Counts]:
        targets = stream.targets[stream.targets >= 0].astype(np.int64)
        return [count(context_codes(stream, k, self.base), targets, self.base) for k in range(self.order + 1)]

    def _evidence(self, stream: Stream) -> list[Evidence]:
        targets = stream.targets[stream.targets >= 0].astype(np.int64)
        return [
            look_up(counts, context_codes(stream, k, self.base), targets, self.base)
            for k, counts in enumerate(self.counts)
        ]

    def _interpolate(
        self, evidence: Sequence[Evidence], below: np.ndarray | float | None = None
    ) -> np.ndarray:
        """Mix the orders from the shortest context up; `below` is the probability under the first one."""
        first = self.order + 1 - len(evidence)
        probability = np.asarray(self.uniform if below is None else below)
        for k, seen in enumerate(evidence, start=first):
            probability = _mix(seen, self.discounts[k], self.strengths[k], probability)
        return probability

    def _tune(self, evidence: Sequence[Evidence]) -> None:
        """Choose discount and strength of every order by coordinate descent on the tuning sequences."""
        for number in range(_PASSES):
            below: np.ndarray = np.asarray(self.uniform)
            for k, seen in enumerate(evidence):
                # the first pass grows the order one by one, later ones see the whole stack above
                above = evidence[k + 1 :] if number else []
                self._tune_order(k, seen, below, above)
                below = _mix(seen, self.discounts[k], self.strengths[k], below)

    def _tune_order(self, k: int, seen: Evidence, below: np.ndarray, above: Sequence[Evidence]) -> None:
        best = np.inf
        choice = (self.discounts[k], self.strengths[k])
        for discount in _DISCOUNTS:
            for strength in _STRENGTHS:
                here = _mix(seen, discount, strength, below)
                cost = -np.log(self._interpolate(above, here) if above else here).mean()
                if cost < best:
                    best, choice = cost, (discount, strength)
        self.discounts[k], self.strengths[k] = choice


def _mix(seen: Evidence, discount: float, strength: float, below: np.ndarray) -> np.ndarray:
    """Combine the counts of one order with the probability under the next shorter context."""
    kept = np.maximum(seen.times - discount, 0.0)
    mixed = (kept + (strength + discount * seen.types) * below) / (seen.totals + strength)
    return np.where(seen.totals > 0, mixed, below)
