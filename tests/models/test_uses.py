"""What models offer for strings: likelihoods, new sequences and contexts."""

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError, ModelError, SequenceError
from bio_xlstm.sampling import Sampling, draw


@pytest.fixture(scope="module")
def model():
    """Return a small model of molecules."""
    return bx.build("chem", dim=32, blocks=2, heads=2, seed=0).eval()


def test_generated_sequences_are_the_drawn_ones_in_order(model):
    found = model.generate(7, seed=5, temperature=0.8, longest=20, slots=3)
    drawn = draw(Decoder(model, 2), range(7), Sampling(seed=5, temperature=0.8, longest=20))
    ids = {sample.number: sample.ids for sample in drawn}
    assert found == [model.tokenizer.decode(ids[number]) for number in range(7)]
    assert model.generate(3, seed=5, temperature=0.8, longest=20) == found[:3]
    assert model.generate(0) == []


def test_generation_goes_on_from_prompt_and_context(model):
    state = model.encode_context(["CCO", "c1ccccc1"])
    plain, remembered = (
        model.generate(8, prompt="CC", longest=30, temperature=0.3, state=one) for one in (None, state)
    )
    assert all(text.startswith("CC") for text in plain + remembered) and plain != remembered


def test_scores_are_sums_of_log_probabilities_and_see_the_context(model):
    texts = ["CCO", "c1ccccc1O"]
    totals, each = model.score(texts), model.score(texts, reduce="none")
    assert totals == pytest.approx([values.sum() for values in each], rel=1e-5)
    ids = np.concatenate(([model.tokenizer.start], model.tokenizer.encode("CCO"), [model.tokenizer.stop]))
    with torch.no_grad():
        logprobs = model(torch.tensor(ids[None].astype(np.int64))).logits[0].log_softmax(-1)
    wanted = logprobs[:-1].gather(1, torch.tensor(ids[1:].astype(np.int64))[:, None]).sum()
    assert totals[0] == pytest.approx(float(wanted), rel=1e-5)
    assert model.score(texts, state=model.encode_context(["CCN"]))[0] != pytest.approx(totals[0], rel=1e-6)


def test_what_cannot_be_generated_is_said(model):
    masked = bx.build("dna", dim=32, blocks=1, heads=2, direction="shared", objective="masked")
    other = bx.build("chem", dim=32, blocks=2, heads=2, seed=1).eval()
    two = model(torch.tensor([[1, 2], [1, 2]])).state
    for call, error, message in (
        (lambda: model.generate(-1), ConfigError, "count must be a whole number, not -1"),
        (lambda: model.generate(True), ConfigError, "count must be a whole number, not True"),
        (lambda: model.generate(2, top=3), ConfigError, "there is no sampling setting top; known: seed, "),
        (lambda: model.generate(2, top_k=0), ConfigError, "top_k must leave at least one id, not 0"),
        (lambda: masked.generate(2), ConfigError, "only causal models can be read token by token"),
        (lambda: model.generate(2, prompt="C?"), SequenceError, "not a SMILES token"),
        (lambda: model.generate(2, state=two), ModelError, "the state holds 2 sequences; a context is one"),
        (
            lambda: model.generate(2, state=other.encode_context(["C"])),
            ModelError,
            "the state was made by another model",
        ),
        (lambda: model.encode_context([]), SequenceError, "a context holds at least one sequence"),
        (lambda: masked.encode_context(["ACGT"]), ModelError, "it reads no context"),
    ):
        with pytest.raises(error, match=message):
            call()
