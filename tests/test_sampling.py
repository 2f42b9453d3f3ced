"""What is drawn is a function of model, seed and number, and follows the model's own probabilities."""

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling import Sample, draw, gumbel, mixed
from bio_xlstm.tokenizers.ids import IdTokenizer


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    """Return a small model whose stop token is neither rare nor certain."""
    model = bx.build("chem", dim=32, blocks=2, heads=2).eval()
    with torch.no_grad():
        model.head.weight.mul_(3.0)
    return model


def drawn(model: SequenceModel, slots: int, numbers: range, **options: float) -> dict[int, Sample]:
    """Draw with a decoder of its own."""
    return {sample.number: sample for sample in draw(Decoder(model, slots), numbers, **options)}


@pytest.mark.parametrize("slots", (1, 3, 16))
def test_a_sequence_depends_on_seed_and_number_alone(model: SequenceModel, slots: int) -> None:
    whole = drawn(model, 5, range(12), seed=3, longest=40)
    assert sorted(whole) == list(range(12))
    some = drawn(model, slots, range(4, 9), seed=3, longest=40)
    for number, sample in some.items():
        assert np.array_equal(sample.ids, whole[number].ids)
        assert sample.ended == whole[number].ended
        assert sample.logprob == pytest.approx(whole[number].logprob, rel=1e-5)
    other = drawn(model, slots, range(4, 9), seed=4, longest=40)
    assert any(not np.array_equal(other[number].ids, some[number].ids) for number in some)


def test_log_probabilities_are_those_of_the_model(model: SequenceModel) -> None:
    tokenizer = model.tokenizer
    for sample in drawn(model, 4, range(6), temperature=0.7, longest=15).values():
        tokens = [tokenizer.start, *sample.ids, tokenizer.stop]
        logprobs = model(torch.tensor([tokens])).logits[0].detach().double().log_softmax(-1)
        count = len(sample.ids) + sample.ended
        wanted = sum(float(logprobs[place, tokens[place + 1]]) for place in range(count))
        assert sample.logprob == pytest.approx(wanted, rel=1e-4)
        assert tokenizer.stop not in sample.ids and tokenizer.targets[sample.ids].all()


def test_frequencies_follow_the_probabilities() -> None:
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0]).double()
    count = 40_000
    chosen = (logits + gumbel(7, torch.arange(count), torch.zeros(count, dtype=torch.int64), 4)).argmax(1)
    found = torch.bincount(chosen, minlength=4) / count
    wanted = logits.softmax(0)
    assert ((found - wanted).abs() < 4.5 * (wanted * (1 - wanted) / count).sqrt()).all()


def test_neighbouring_places_and_numbers_are_independent() -> None:
    count = 20_000
    index, none = torch.arange(count), torch.zeros(count, dtype=torch.int64)
    for one, other in (
        (gumbel(0, index, none, 1), gumbel(0, index, none + 1, 1)),
        (gumbel(0, index, none, 1), gumbel(1, index, none, 1)),
        (gumbel(0, none, index, 1), gumbel(0, none + 1, index, 1)),
        (gumbel(0, index, index, 2)[:, :1], gumbel(0, index, index, 2)[:, 1:]),
    ):
        assert abs(float(torch.corrcoef(torch.cat((one, other), 1).T)[0, 1])) < 4.5 / count**0.5
        # mean and variance of the Gumbel distribution
        assert abs(float(one.mean()) - 0.5772) < 4.5 * 1.283 / count**0.5
        assert abs(float(one.var()) - 1.6449) < 0.12


def test_keys_are_mixed_as_splitmix64_does() -> None:
    # the first numbers of the published generator with seed 1234567
    seed, step = 1234567, 0x9E3779B97F4A7C15
    states = [(seed + n * step) % 2**64 for n in (1, 2)]
    signed = torch.tensor([state - 2**64 if state >= 2**63 else state for state in states])
    assert [int(key) % 2**64 for key in mixed(signed)] == [6457827717110365317, 3203168211198807973]


def test_a_sequence_at_the_limit_is_not_ended(model: SequenceModel) -> None:
    samples = drawn(model, 2, range(8), longest=1).values()
    assert {len(sample.ids) for sample in samples} <= {0, 1}
    assert all(sample.ended == (len(sample.ids) == 0) for sample in samples)


def test_nothing_to_draw(model: SequenceModel) -> None:
    assert drawn(model, 2, range(0)) == {}


def test_what_cannot_be_drawn_is_refused(model: SequenceModel) -> None:
    with pytest.raises(ConfigError, match="temperature must be positive, not 0"):
        drawn(model, 1, range(1), temperature=0.0)
    with pytest.raises(ConfigError, match="at least one id, not 0"):
        drawn(model, 1, range(1), longest=0)
    plain = bx.build("tokens", vocabulary=7, dim=32, blocks=1, heads=2, tokenizer=IdTokenizer.of(7))
    with pytest.raises(ConfigError, match="no start or stop token: nothing can be drawn"):
        drawn(plain, 1, range(1))
