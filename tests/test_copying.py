"""Speculative decoding by copying gives what ordinary decoding gives, in fewer passes; so does a beam of one."""

from typing import Any

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError
from bio_xlstm.sampling import Sampling, draw, open_sequence
from bio_xlstm.sampling.beam import beam_search
from bio_xlstm.sampling.copying import Effort, draw_copying, propose


@pytest.fixture(scope="module")
def model() -> Any:
    """Return a small model whose stop token is neither rare nor certain."""
    model = bx.build("chem", dim=32, blocks=2, heads=2).eval()
    with torch.no_grad():
        model.head.weight.mul_(3.0)
    return model


@pytest.mark.parametrize(
    "options", [{"temperature": 0.0}, {"temperature": 0.9}, {"top_k": 6, "no_repeat": 3}]
)
def test_copying_changes_nothing(model: Any, options: dict[str, Any]) -> None:
    sampling = Sampling(seed=2, longest=40, **options)
    opening = open_sequence(model, model.tokenizer.encode("CC(=O)Nc1ccc"))
    wanted = {s.number: s for s in draw(Decoder(model, 4), range(4), sampling, opening_of=lambda i: opening)}
    # what is drawn itself is the best of sources, what is not drawn at all the worst
    for source in (wanted[0].ids, wanted[1].ids, np.zeros(0, np.int64)):
        found = draw_copying(model, range(4), sampling, opening_of=lambda i: opening, source=source, draft=5)
        for sample in found:
            assert np.array_equal(sample.ids, wanted[sample.number].ids)
            assert sample.ended == wanted[sample.number].ended
            assert sample.logprob == pytest.approx(wanted[sample.number].logprob, rel=1e-4)


def test_copying_saves_passes(model: Any) -> None:
    sampling = Sampling(temperature=0.0, longest=60)
    opening = open_sequence(model, model.tokenizer.encode("CC(=O)Nc1ccc"))
    options: dict[str, Any] = {"opening_of": lambda i: opening}
    (sample,) = draw(Decoder(model, 1), range(1), sampling, **options)
    efforts: list[Effort] = []
    list(draw_copying(model, range(1), sampling, source=sample.ids, count=efforts.append, **options))
    drawn, passes = efforts[0]
    assert drawn == len(sample.ids) + sample.ended - 12
    if drawn > 12:
        assert passes < 0.7 * drawn


def test_copying_fills_spans_as_drawing_does() -> None:
    from bio_xlstm.tasks.generate.spans import Redesign, SpanConstraint, open_redesign

    model = bx.build("protein", dim=32, blocks=2, heads=2, rotary="head", objective="infill").eval()
    ids = model.tokenizer.encode("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ").astype(np.int64)
    spans = ((3, 9), (15, 20))
    opening = open_redesign(model, Redesign(ids, spans), None)
    sampling = Sampling(longest=20, temperature=0.5)

    def constraint(slots: int) -> SpanConstraint:
        return SpanConstraint(model.tokenizer, spans, slots, keep_length=True)

    options: dict[str, Any] = {"opening_of": lambda i: opening}
    wanted = {
        s.number: s for s in draw(Decoder(model, 2), range(3), sampling, constraint=constraint(2), **options)
    }
    source = np.concatenate([s.ids for s in wanted.values()])
    for sample in draw_copying(model, range(3), sampling, source=source, constraint=constraint(1), **options):
        assert np.array_equal(sample.ids, wanted[sample.number].ids)


def test_a_draft_is_what_followed() -> None:
    source = np.array([5, 1, 2, 3, 5, 1, 2, 4])
    assert propose(np.array([5, 1]), source, 9).tolist() == [2, 4]
    assert propose(np.array([1, 2, 3]), source, 2).tolist() == [5, 1]
    assert len(propose(np.array([9, 9]), source, 3)) == len(propose(np.array([1]), source, 3)) == 0


def test_a_beam_of_one_is_greedy(model: Any) -> None:
    opening = open_sequence(model, model.tokenizer.encode("CCO"))
    sampling = Sampling(temperature=0.0, longest=25)
    (greedy,) = draw(Decoder(model, 1), range(1), sampling, opening_of=lambda i: opening)
    (beam,) = beam_search(Decoder(model, 1), 1, longest=25, opening=opening)
    assert np.array_equal(beam.ids, greedy.ids) and beam.ended == greedy.ended
    assert beam.logprob == pytest.approx(greedy.logprob, rel=1e-4)


def test_a_wide_beam_finds_the_likeliest() -> None:
    model = bx.build("dna", dim=16, blocks=1, heads=1, seed=3).eval()
    with torch.no_grad():
        model.head.weight.mul_(4.0)
    tokenizer = model.tokenizer
    found = beam_search(Decoder(model, 64), 64, longest=4)
    # every sequence of one to three bases
    texts = [""]
    for _ in range(3):
        texts += [text + base for text in texts for base in "ACGT"]
    scored = []
    for text in set(texts) - {""}:
        tokens = [tokenizer.start, *tokenizer.encode(text).tolist(), tokenizer.stop]
        logprobs = model(torch.tensor([tokens[:-1]])).logits[0].detach().double().log_softmax(1)
        scored.append((float(logprobs.gather(1, torch.tensor(tokens[1:])[:, None]).sum()), text))
    best = sorted(scored, reverse=True)[:5]
    whole = [sample for sample in found if sample.ended][:5]
    assert [tokenizer.decode(sample.ids) for sample in whole] == [text for _, text in best]
    assert [sample.logprob for sample in whole] == pytest.approx([value for value, _ in best], rel=1e-4)


def test_beams_that_do_not_fit_are_refused(model: Any) -> None:
    with pytest.raises(ConfigError, match="a beam of width 3 does not fit into the 2 slots of the decoder"):
        beam_search(Decoder(model, 2), 3, longest=9)
    opening = open_sequence(model, model.tokenizer.encode("CCO"))
    with pytest.raises(
        ConfigError, match="3 tokens are given, which leaves no room in sequences of at most 3"
    ):
        beam_search(Decoder(model, 2), 2, longest=3, opening=opening)
