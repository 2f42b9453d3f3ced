"""What is drawn is a function of model, seed and number, and follows the model's own probabilities."""

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling import Opening, Sample, Sampling, draw, open_sequence
from bio_xlstm.sampling.beam import beam_search
from bio_xlstm.sampling.choice import likely, penalised, repeating
from bio_xlstm.sampling.counter import exponential, mixed
from bio_xlstm.sampling.opening import read
from bio_xlstm.tokenizers.ids import IdTokenizer


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    """Return a small model whose stop token is neither rare nor certain."""
    model = bx.build("chem", dim=32, blocks=2, heads=2).eval()
    with torch.no_grad():
        model.head.weight.mul_(3.0)
    return model


def drawn(
    model: SequenceModel, slots: int, numbers: range, opening: Opening | None = None, **options: float
) -> dict[int, Sample]:
    """Draw with a decoder of its own."""
    opened = {} if opening is None else {"opening_of": lambda number: opening}
    found = draw(Decoder(model, slots), numbers, Sampling(**options), **opened)
    return {sample.number: sample for sample in found}


def logprob(model: SequenceModel, sample: Sample, before: list[int]) -> float:
    """Sum what the model says of a sample after other tokens, all read at once."""
    tokenizer = model.tokenizer
    tokens = [*before, tokenizer.start, *sample.ids.tolist(), tokenizer.stop]
    logprobs = model(torch.tensor([tokens])).logits[0].detach().double().log_softmax(-1)
    places = range(len(before), len(before) + len(sample.ids) + sample.ended)
    return sum(float(logprobs[place, tokens[place + 1]]) for place in places)


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


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"top_k": 5},
        {"top_p": 0.8},
        {"min_p": 0.1},
        {"no_repeat": 2},
        {"temperature": 0.0},
    ],
)
def test_log_probabilities_are_those_of_the_model(model: SequenceModel, options: dict[str, float]) -> None:
    tokenizer = model.tokenizer
    for sample in drawn(model, 4, range(6), longest=15, **options).values():
        assert sample.logprob == pytest.approx(logprob(model, sample, []), rel=1e-4)
        assert tokenizer.stop not in sample.ids and tokenizer.targets[sample.ids].all()


def test_frequencies_follow_the_probabilities() -> None:
    logits = torch.tensor([[0.5, -1.0, 2.0, 0.0]]).double()
    count = 40_000
    luck = exponential(7, torch.arange(count), torch.zeros(count, dtype=torch.int64), 4)
    for sampling in (Sampling(), Sampling(temperature=0.6), Sampling(top_k=2), Sampling(top_p=0.9)):
        chances = likely(logits, sampling)
        found = torch.bincount((chances / luck).argmax(1), minlength=4) / count
        wanted = (chances / chances.sum())[0]
        assert ((found - wanted).abs() <= 4.5 * (wanted * (1 - wanted) / count).sqrt()).all()


def test_neighbouring_places_and_numbers_are_independent() -> None:
    count = 20_000
    index, none = torch.arange(count), torch.zeros(count, dtype=torch.int64)
    for one, other in (
        (exponential(0, index, none, 1), exponential(0, index, none + 1, 1)),
        (exponential(0, index, none, 1), exponential(1, index, none, 1)),
        (exponential(0, none, index, 1), exponential(0, none + 1, index, 1)),
        (exponential(0, index, index, 2)[:, :1], exponential(0, index, index, 2)[:, 1:]),
    ):
        assert abs(float(torch.corrcoef(torch.cat((one, other), 1).T)[0, 1])) < 4.5 / count**0.5
        # mean and variance of the exponential distribution
        assert abs(float(one.mean()) - 1) < 4.5 / count**0.5
        assert abs(float(one.var()) - 1) < 4.5 * 8**0.5 / count**0.5


def test_keys_are_mixed_as_splitmix64_does() -> None:
    # the first numbers of the published generator with seed 1234567
    seed, step = 1234567, 0x9E3779B97F4A7C15
    states = [(seed + n * step) % 2**64 for n in (1, 2)]
    signed = torch.tensor([state - 2**64 if state >= 2**63 else state for state in states])
    assert [int(key) % 2**64 for key in mixed(signed)] == [6457827717110365317, 3203168211198807973]


def test_truncation_keeps_the_likeliest() -> None:
    scores = torch.tensor([[0.4, 0.1, 0.2, 0.3], [0.97, 0.01, 0.01, 0.01]]).double().log()

    def kept(**options: float) -> list[list[bool]]:
        return (likely(scores, Sampling(**options)) > 0).tolist()

    yes, no = True, False
    assert kept(top_k=1) == [[yes, no, no, no], [yes, no, no, no]]
    assert kept(top_k=9) == kept() == [[yes] * 4, [yes] * 4]
    # 0.4 + 0.3 reach 0.6, and 0.4 does not
    assert kept(top_p=0.6) == [[yes, no, no, yes], [yes, no, no, no]]
    assert kept(top_p=0.39) == [[yes, no, no, no], [yes, no, no, no]]
    assert kept(min_p=0.6) == [[yes, no, no, yes], [yes, no, no, no]]
    # of the two that are left, 0.4 makes up 4/7
    assert kept(top_k=2, top_p=0.5) == [[yes, no, no, no], [yes, no, no, no]]
    ratio = likely(scores, Sampling(temperature=0.5))
    assert float(ratio[0, 1] / ratio[0, 0]) == pytest.approx((0.1 / 0.4) ** 2)


@pytest.mark.parametrize("temperature", [5e-324, 1e-320, 1e-200])
def test_a_temperature_near_zero_takes_the_likeliest(temperature: float) -> None:
    scores = torch.tensor([[-1.5, 3.0, -torch.inf, 2.9], [-7.0, -9.0, -8.0, -torch.inf]]).double()
    for options in ({}, {"top_k": 3}, {"top_p": 0.9}, {"min_p": 0.5}):
        chances = likely(scores, Sampling(temperature=temperature, **options))
        assert chances.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]


def test_repetition_is_made_unlikely_and_refused() -> None:
    scores, seen = torch.tensor([[2.0, -2.0, 1.0]]), torch.tensor([[True, True, False]])
    assert penalised(scores, seen, 2.0).tolist() == [[1.0, -4.0, 1.0]]
    # after 3 4 5 3 4 comes no 5; after one id of it nothing is known
    ids = torch.tensor([[3, 4, 5, 3, 4, 0, 0], [3, 4, 0, 0, 0, 0, 0]])
    marked = repeating(ids, torch.tensor([5, 2]), 3, 7)
    assert marked.nonzero().tolist() == [[0, 5]]
    assert repeating(ids, torch.tensor([5, 2]), 1, 7)[1].nonzero()[:, 0].tolist() == [3, 4]
    assert not repeating(ids, torch.tensor([5, 2]), 8, 7).any()


def test_no_run_stands_twice(model: SequenceModel) -> None:
    for sample in drawn(model, 4, range(6), no_repeat=2, temperature=0.5, longest=60).values():
        pairs = list(zip(sample.ids.tolist(), sample.ids[1:].tolist(), strict=False))
        assert len(set(pairs)) == len(pairs)
    plain = drawn(model, 4, range(4), temperature=0.2, longest=60)
    apart = drawn(model, 4, range(4), temperature=0.2, repetition_penalty=3.0, longest=60)
    assert sum(map(distinct, apart.values())) > sum(map(distinct, plain.values()))


def distinct(sample: Sample) -> float:
    """Return the share of ids that stand once."""
    return len(set(sample.ids.tolist())) / max(len(sample.ids), 1)


def test_greedy_is_the_argmax_of_the_parallel_forward(model: SequenceModel) -> None:
    tokenizer = model.tokenizer
    given = tokenizer.encode("CC(=O)")
    opening = open_sequence(model, given)
    samples = drawn(model, 3, range(3), opening, temperature=0.0, longest=30)
    sample = samples[0]
    assert all(np.array_equal(other.ids, sample.ids) for other in samples.values())
    tokens = [tokenizer.start, *sample.ids.tolist()]
    logits = model(torch.tensor([tokens])).logits[0].detach()
    wanted = np.array(tokenizer.targets, bool)
    wanted[tokenizer.stop] = True
    logits[:, torch.from_numpy(~wanted)] = -torch.inf
    follows = logits.argmax(1).tolist()[len(given) :]
    assert follows[: len(sample.ids) - len(given)] == sample.ids[len(given) :].tolist()
    assert not sample.ended or follows[-1] == tokenizer.stop


def test_a_prompt_and_a_state_are_read_before_what_is_drawn(model: SequenceModel) -> None:
    tokenizer = model.tokenizer
    context = [tokenizer.start, *tokenizer.encode("CCO").tolist(), tokenizer.stop]
    state, _ = read(model, np.array(context))
    opening = open_sequence(model, tokenizer.encode("c1cc"), state)
    for sample in drawn(model, 3, range(5), opening, longest=12).values():
        assert tokenizer.decode(sample.ids).startswith("c1cc")
        assert sample.logprob == pytest.approx(logprob(model, sample, context), rel=1e-4)
    alone = drawn(model, 1, range(3, 4), opening, longest=12)[3]
    assert np.array_equal(alone.ids, drawn(model, 3, range(5), opening, longest=12)[3].ids)


def test_a_long_prompt_is_read_in_pieces(model: SequenceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = np.array(model.tokenizer.encode("CCOC(=O)c1ccccc1N"))
    state, logprob = read(model, tokens[:-1], targets=tokens[1:])
    monkeypatch.setattr("bio_xlstm.sampling.opening._PIECE", 5)
    again, found = read(model, tokens[:-1], targets=tokens[1:])
    assert found == pytest.approx(logprob, rel=1e-5)
    for one, other in zip(state.blocks, again.blocks, strict=True):
        for name, part in one.tensors().items():
            torch.testing.assert_close(other.tensors()[name], part, rtol=1e-4, atol=1e-5)


def test_a_sequence_at_the_limit_is_not_ended(model: SequenceModel) -> None:
    samples = drawn(model, 2, range(8), longest=1).values()
    assert {len(sample.ids) for sample in samples} <= {0, 1}
    assert all(sample.ended == (len(sample.ids) == 0) for sample in samples)


def test_nothing_to_draw(model: SequenceModel) -> None:
    assert drawn(model, 2, range(0)) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.5}, "temperature must not be negative, not -0.5"),
        ({"top_k": 0}, "top_k must leave at least one id, not 0"),
        ({"top_p": 0.0}, "top_p must be a share above 0, at most 1, not 0"),
        ({"min_p": 1.5}, "min_p must be a share between 0 and 1, not 1.5"),
        ({"repetition_penalty": 0.0}, "repetition_penalty must be positive, not 0"),
        ({"no_repeat": 0}, "no_repeat must be at least 1, not 0"),
        ({"longest": 0}, "a sequence needs room for at least one id, not 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(**options)


def test_what_cannot_be_drawn_is_refused(model: SequenceModel) -> None:
    opening = open_sequence(model, model.tokenizer.encode("CCO"))
    with pytest.raises(
        ConfigError, match="3 tokens are given, which leaves no room in sequences of at most 3"
    ):
        drawn(model, 1, range(1), opening, longest=3)
    plain = bx.build("tokens", vocabulary=7, dim=32, blocks=1, heads=2, tokenizer=IdTokenizer.of(7))
    with pytest.raises(
        ConfigError, match="begin with no start token: say with a prompt what they begin with"
    ):
        drawn(plain, 1, range(1))
    masked = bx.build("dna", dim=32, blocks=2, heads=2, direction="alternating", objective="masked")
    with pytest.raises(ConfigError, match="only causal models can be read token by token"):
        open_sequence(masked, masked.tokenizer.encode("ACGT"))


@pytest.mark.parametrize("text", ["", "CC"])
def test_a_beam_finds_no_empty_sequence_however_likely(text: str) -> None:
    sure = bx.build("chem", dim=32, blocks=1, heads=2).eval()
    tokenizer, given = sure.tokenizer, sure.tokenizer.encode(text).tolist()
    with torch.no_grad():
        # a stop is likely to follow what is given
        hidden = sure(torch.tensor([[tokenizer.start, *given]])).hidden[0, -1]
        sure.head.weight.zero_()
        sure.head.weight[tokenizer.stop] = hidden * 8 / hidden.norm() ** 2
    opening = open_sequence(sure, np.array(given)) if text else None
    found = beam_search(Decoder(sure, 6), 6, longest=4, opening=opening)
    assert len(found) == 6 and all(len(sample.ids) for sample in found)
    # behind a prompt it ends a sequence
    assert not text or (found[0].ended and found[0].ids.tolist() == given)
    # what has ended comes first, each by its log-probability
    order = [(not sample.ended, -sample.logprob) for sample in found]
    assert order == sorted(order)


@pytest.mark.parametrize("given", [[3], [3, 1, 4]])
def test_without_frames_a_prompt_begins_and_the_limit_ends(given: list[int]) -> None:
    plain = bx.build("tokens", vocabulary=7, dim=32, blocks=1, heads=2, tokenizer=IdTokenizer.of(7)).eval()
    opening = open_sequence(plain, np.array(given))
    for sample in drawn(plain, 2, range(3), opening, longest=9).values():
        assert len(sample.ids) == 9 and sample.ids[: len(given)].tolist() == given and not sample.ended
        tokens = torch.from_numpy(sample.ids)[None]
        with torch.inference_mode():
            logprobs = plain(tokens).logits.log_softmax(2)[0, :-1]
        # the first id was given, not predicted
        wanted = logprobs.gather(1, tokens[0, 1:, None]).sum()
        assert abs(sample.logprob - float(wanted)) < 1e-4
    best = beam_search(Decoder(plain, 2), 2, longest=9, opening=opening)
    assert [len(sample.ids) for sample in best] == [9, 9] and not any(sample.ended for sample in best)
