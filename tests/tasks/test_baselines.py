"""The baselines: hand-computed counts, probabilities that sum to one, contexts that stay in their sequence."""

import numpy as np
import pytest

from bio_xlstm.tasks.baselines import Markov, Stream
from bio_xlstm.tasks.baselines.contexts import context_codes

START, STOP, A, B = 0, 1, 2, 3
TARGETS = np.array([False, True, True, True])


def stream(*sequences: list[int]) -> Stream:
    """Frame sequences as the model does."""
    inputs = [np.array([START, *sequence]) for sequence in sequences]
    targets = [np.array([*sequence, STOP]) for sequence in sequences]
    offsets = np.cumsum([0, *map(len, inputs)])
    return Stream(np.concatenate(inputs), np.concatenate(targets), offsets)


def markov(order: int, discount: float, strength: float) -> Markov:
    """Make a model with the same smoothing at every order."""
    model = Markov(order, 4, TARGETS)
    model.discounts[:], model.strengths[:] = discount, strength
    return model


def test_unigram_without_smoothing_is_the_relative_frequency() -> None:
    model = markov(0, 0.0, 0.0).fit(stream([A, A, B]))  # A A B STOP
    assert np.exp(-model.nats(stream([A, B]))) == pytest.approx([2 / 4, 1 / 4, 1 / 4])


def test_bigram_mixes_counts_with_the_unigram_as_written() -> None:
    model = markov(1, 0.5, 1.0).fit(stream([A, A, B]))
    unigram = ((2 - 0.5) + (1 + 0.5 * 3) / 3) / (4 + 1)  # p(A): 2 of 4, three types
    # after A: A once, B once; two types
    bigram = ((1 - 0.5) + (1 + 0.5 * 2) * unigram) / (2 + 1)
    assert np.exp(-model.nats(stream([A, A])))[1] == pytest.approx(bigram)


def test_unseen_context_falls_back_to_the_shorter_one() -> None:
    model = markov(1, 0.5, 1.0).fit(stream([A, A]))
    shorter = markov(0, 0.5, 1.0).fit(stream([A, A]))
    after_b = Stream(np.array([B]), np.array([A]), np.array([0, 1]))
    assert model.nats(after_b) == pytest.approx(shorter.nats(after_b))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_probabilities_sum_to_one(order: int) -> None:
    rng = np.random.default_rng(0)
    model = Markov(order, 4, TARGETS).fit(stream(*[list(rng.integers(2, 4, 9)) for _ in range(20)]))
    model.tune(stream([A, B, B, A, A]))
    inputs = np.array([START, A, B, A, B, B])
    total = np.zeros(len(inputs))
    for token in (STOP, A, B):
        total += np.exp(-model.nats(Stream(inputs, np.full(len(inputs), token), np.array([0, len(inputs)]))))
    assert total == pytest.approx(np.ones(len(inputs)))


def test_contexts_do_not_reach_into_the_sequence_before() -> None:
    alone = context_codes(stream([B, A]), 3, 5)
    after = context_codes(stream([A, A, A], [B, A]), 3, 5)
    assert after[-3:].tolist() == alone.tolist()


def test_ignored_targets_are_neither_counted_nor_scored() -> None:
    whole = stream([A, B, A])
    hidden = whole._replace(targets=np.where(whole.targets == B, -100, whole.targets))
    model = markov(0, 0.0, 0.0).fit(hidden)
    assert np.exp(-model.nats(hidden)) == pytest.approx([2 / 3, 2 / 3, 1 / 3])


def test_tuning_never_hurts_the_sequences_it_sees() -> None:
    rng = np.random.default_rng(1)
    train, other = (stream(*[list(rng.integers(2, 4, 12)) for _ in range(30)]) for _ in range(2))
    model = Markov(3, 4, TARGETS).fit(train)
    before = model.nats(other).mean()
    assert model.tune(other).nats(other).mean() <= before


def test_an_order_too_high_for_its_codes_is_refused() -> None:
    with pytest.raises(ValueError, match="order 40 over 5 symbols does not fit"):
        context_codes(stream([A]), 40, 5)
