"""Likelihoods are those of the forward pass, and depend neither on the batch nor on the way a sequence is cut."""

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm import likelihoods
from bio_xlstm.context import context_tokens, encode_context
from bio_xlstm.decoding import Decoder
from bio_xlstm.embedding import cut_windows
from bio_xlstm.errors import ConfigError, ModelError, SequenceError
from bio_xlstm.sampling import Sampling, draw
from bio_xlstm.scoring import score_batch, score_sequences
from bio_xlstm.tokenizers.ids import IdTokenizer

SIZES = {"dim": 16, "blocks": 2, "heads": 2, "seed": 0}
MOLECULES = ["CCO", "c1ccccc1C(=O)N", "C", "[13C@@H](F)(Cl)Br", "CC(C)CC1=CC=C(C=C1)C(C)C(=O)O"]
PROTEINS = ["MKTAYIAKQR", "M", "GSHMLEDPVDX", "ACDEFGHIKLMNPQRSTVWY" * 4]


@pytest.fixture(scope="module", params=["chem", "protein", "dna"])
def causal(request):
    """Build a causal model of every family, and sequences for it."""
    bases = np.random.default_rng(0).choice(list("ACGTN"), 90)
    texts = {"chem": MOLECULES, "protein": PROTEINS, "dna": ["ACGTTGCA", "A", "".join(bases), "NNAC"]}
    return bx.build(request.param, **SIZES).eval(), texts[request.param]


@pytest.fixture(scope="module")
def masked():
    """Build a model that knows hidden bases."""
    return bx.build("dna", **SIZES, direction="shared", objective="masked").eval()


def law(model, text, context=()):
    """Return log p of every token and of the stop, straight from a forward pass; NaN for N."""
    tokenizer = model.tokenizer
    ids = tokenizer.encode(text).astype(np.int64)
    before = context_tokens(tokenizer, [tokenizer.encode(one) for one in context]) if context else []
    tokens = torch.from_numpy(np.concatenate((before, [tokenizer.start], ids)).astype(np.int64))[None]
    with torch.no_grad():
        logprobs = model(tokens).logits[0].double().log_softmax(-1).numpy()[len(before) :]
    targets = np.append(ids, tokenizer.stop)
    found = logprobs[np.arange(len(targets)), targets]
    return np.where((targets == tokenizer.stop) | tokenizer.targets[targets], found, np.nan)


def close(found, wanted):
    """Compare to 1e-5 relative error, NaN where NaN is wanted."""
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("budget", [8192, 24, 7])
def test_totals_are_the_log_softmax_of_the_forward_pass(causal, budget):
    model, texts = causal
    wanted = [law(model, text) for text in texts]
    for found, expected in zip(
        score_sequences(model, texts, reduce="none", batch_tokens=budget), wanted, strict=True
    ):
        close(found, expected)
    close(score_sequences(model, texts, batch_tokens=budget), [np.nansum(one) for one in wanted])
    close(score_sequences(model, texts, reduce="mean"), [np.nanmean(one) for one in wanted])
    close(score_sequences(model, texts, reduce="perplexity"), [np.exp(-np.nanmean(one)) for one in wanted])


def test_alone_in_a_batch_and_turned_around_are_the_same(causal):
    model, texts = causal
    alone = [score_sequences(model, [text], reduce="none")[0] for text in texts]
    for found, wanted in zip(score_sequences(model, texts, reduce="none"), alone, strict=True):
        close(found, wanted)
    for found, wanted in zip(score_sequences(model, texts[::-1], reduce="none"), alone[::-1], strict=True):
        close(found, wanted)


def test_logits_are_reduced_in_pieces(causal, monkeypatch):
    model, texts = causal
    whole = score_sequences(model, texts)
    monkeypatch.setattr(likelihoods, "_LOGITS", 3 * model.config.vocabulary)
    close(score_sequences(model, texts), whole)


def test_what_stands_for_several_letters_is_read_but_does_not_count():
    model = bx.build("dna", **SIZES).eval()
    (score,) = score_batch(model, [model.tokenizer.encode("ANNC")])
    assert np.isnan(score.logprobs).tolist() == [False, True, True, False, False] and score.n_tokens == 3
    assert score.total == np.nansum(score.logprobs, dtype=np.float64)


def test_the_score_of_a_sample_is_its_log_probability():
    model = bx.build("chem", **SIZES).eval()
    samples = [
        one for one in draw(Decoder(model, slots=3), range(6), Sampling(seed=1, longest=40)) if len(one.ids)
    ]
    found = score_batch(model, [one.ids.astype(np.uint16) for one in samples])
    for sample, score in zip(samples, found, strict=True):
        wanted = sample.logprob if sample.ended else score.total
        assert score.total == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    # those that were cut off at the limit have no stop
    cut = [(one, score) for one, score in zip(samples, found, strict=True) if not one.ended]
    for sample, score in cut:
        assert np.sum(score.logprobs[:-1], dtype=np.float64) == pytest.approx(sample.logprob, rel=1e-5)


@pytest.mark.parametrize("family", ["chem", "protein"])
@pytest.mark.parametrize("budget", [8192, 5])
def test_a_context_is_what_a_window_of_training_holds(family, budget):
    settings = {"rotary": "head"} if family == "protein" else {}
    model = bx.build(family, **SIZES, **settings).eval()
    texts = MOLECULES if family == "chem" else PROTEINS
    state = encode_context(model, texts[:2], batch_tokens=budget)
    found = score_sequences(model, texts[2:], reduce="none", state=state, batch_tokens=budget)
    for values, text in zip(found, texts[2:], strict=True):
        close(values, law(model, text, texts[:2]))
    assert not np.allclose(score_sequences(model, texts[2:]), [values.sum() for values in found])


def test_contexts_are_framed_as_in_training():
    protein, chem = bx.build("protein", **SIZES).tokenizer, bx.build("chem", **SIZES).tokenizer
    # one symbol ends a protein and begins the next
    assert context_tokens(protein, [np.array([4, 5]), np.array([6])]).tolist() == [0, 4, 5, 0, 6]
    start, stop = chem.start, chem.stop
    assert context_tokens(chem, [np.array([9]), np.array([8])]).tolist() == [start, 9, stop, start, 8, stop]


def test_few_copies_of_a_large_state_are_made(monkeypatch):
    model = bx.build("chem", **SIZES).eval()
    state = encode_context(model, MOLECULES[:1])
    whole = score_sequences(model, MOLECULES, state=state)
    monkeypatch.setattr(likelihoods, "_STATES", 2 * state.bytes)
    close(score_sequences(model, MOLECULES, state=state), whole)


def test_without_a_start_the_first_token_does_not_count():
    tokenizer = IdTokenizer.of(20)
    model = bx.build("tokens", dim=32, blocks=1, heads=2, vocabulary=20, tokenizer=tokenizer).eval()
    (values,) = score_sequences(model, ["3 4 5"], reduce="none")
    with torch.no_grad():
        logprobs = model(torch.tensor([[3, 4, 5]])).logits[0].log_softmax(-1)
    close(values, [np.nan, float(logprobs[0, 4]), float(logprobs[1, 5])])
    assert np.isnan(score_sequences(model, ["3"], reduce="mean")).all()


def pseudo(model, text, stride):
    """Return log p of every base where it is hidden with every stride-th other, straight from forward passes."""
    tokenizer, ids = model.tokenizer, model.tokenizer.encode(text).astype(np.int64)
    found = np.full(len(ids), np.nan)
    for turn in range(stride):
        hidden = (np.arange(len(ids)) % stride == turn) & tokenizer.targets[ids]
        shown = np.where(hidden, tokenizer.mask, ids)
        framed = shown if tokenizer.start is None else np.append(tokenizer.start, shown)
        with torch.no_grad():
            logprobs = model(torch.from_numpy(framed)[None]).logits[0].double().log_softmax(-1).numpy()
        rows = logprobs[len(framed) - len(ids) :]
        found[hidden] = rows[np.arange(len(ids)), ids][hidden]
    return found


@pytest.mark.parametrize("stride", [1, 3, 8, 100])
def test_pseudo_likelihood_hides_every_base_once(masked, stride):
    texts = ["ACGTTGCAAC", "A", "ACNGT", "GATTACA" * 5]
    found = score_sequences(masked, texts, reduce="none", stride=stride)
    for values, text in zip(found, texts, strict=True):
        close(values, pseudo(masked, text, stride))


def test_masked_copies_need_not_wait_together(masked, monkeypatch):
    texts = ["ACGTTGCAAC", "ACNGT", "GATTACA" * 5]
    whole = score_sequences(masked, texts)
    monkeypatch.setattr(likelihoods, "_WAITING", 1)
    close(score_sequences(masked, texts, batch_tokens=40), whole)


def test_long_sequences_of_masked_models_are_read_in_windows(masked):
    text = "".join(np.random.default_rng(0).choice(list("ACGT"), 75))
    (values,) = score_sequences(masked, [text], reduce="none", stride=4, batch_tokens=32)
    assert values.shape == (75,) and not np.isnan(values).any()
    # strides count from the beginning of the sequence, not of the window
    for window in cut_windows(75, 32):
        ids = masked.tokenizer.encode(text)[window.begin : window.end].astype(np.int64)
        hidden = np.arange(window.begin, window.end) % 4 == 1
        shown = np.append(masked.tokenizer.start, np.where(hidden, masked.tokenizer.mask, ids))
        with torch.no_grad():
            rows = masked(torch.from_numpy(shown)[None]).logits[0, 1:].double().log_softmax(-1).numpy()
        for place in range(window.first, window.last):
            if place % 4 == 1:
                close(values[place], rows[place - window.begin, ids[place - window.begin]])


def test_both_strands():
    model = bx.build("dna", **SIZES).eval()
    texts = ["ACGTTGCA", "AAACN"]
    turn = model.tokenizer.reverse_complement
    other = [model.tokenizer.decode(turn(model.tokenizer.encode(text))) for text in texts]
    forward, reverse = score_sequences(model, texts), score_sequences(model, texts, direction="reverse")
    close(reverse, score_sequences(model, other))
    both = score_sequences(model, texts, direction="both")
    close(both, (forward + reverse) / 2)
    assert np.array_equal(both, score_sequences(model, texts, rc="average"))
    close(both, score_sequences(model, other, rc="average"))
    for text, total, values in zip(
        texts, both, score_sequences(model, texts, direction="both", reduce="none"), strict=True
    ):
        close(np.nansum(values), total)
        assert len(values) == len(text) + 1
    (score,) = score_batch(model, [model.tokenizer.encode("ACGT")], direction="both")
    assert len(score.strands) == 2 and score.total == sum(score.strands) / 2
    # base by base: the last base of the other strand faces the first of this one
    one, two = (
        score_sequences(model, ["ACGTT"], direction=way, reduce="none")[0] for way in ("forward", "reverse")
    )
    (mean,) = score_sequences(model, ["ACGTT"], direction="both", reduce="none")
    close(mean, (one + two) / 2)
    close(two[:5][::-1], score_sequences(model, ["AACGT"], reduce="none")[0][:5])


def test_models_made_for_both_strands_average_them_unasked():
    plain = bx.build("dna", **SIZES).eval()
    tied = bx.build("dna", **SIZES, reverse_complement="post_hoc").eval()
    assert np.array_equal(
        score_sequences(tied, ["ACGT"], rc="auto"), score_sequences(plain, ["ACGT"], rc="average")
    )
    assert np.array_equal(score_sequences(plain, ["ACGT"], rc="auto"), score_sequences(plain, ["ACGT"]))


def test_equivariant_models_score_both_strands_alike():
    model = bx.build(
        "dna", **SIZES, direction="shared", objective="masked", reverse_complement="equivariant"
    ).eval()
    texts = ["ACGTTGCAA", "".join(np.random.default_rng(1).choice(list("ACGT"), 61))]
    for budget in (8192, 24):
        one = score_sequences(model, texts, reduce="none", batch_tokens=budget)
        other = score_sequences(model, texts, reduce="none", direction="reverse", batch_tokens=budget)
        for found, wanted in zip(one, other, strict=True):
            close(found, wanted)


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_a_broken_model_is_not_certain(direction):
    model = bx.build("dna", dim=16, blocks=1, heads=2, seed=0).eval()
    with torch.no_grad():
        next(model.parameters())[:] = torch.nan
    assert model.score(["ACGT"], direction=direction).tolist() == [-np.inf]
    assert np.isneginf(model.score(["ACGT"], direction=direction, reduce="none")[0]).all()
    assert model.score(["ACGT"], direction=direction, reduce="perplexity").tolist() == [np.inf]


def test_nothing_in_nothing_out(causal):
    model, _ = causal
    assert score_sequences(model, []).shape == (0,) and score_sequences(model, [], reduce="none") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduce": "median"}, "unknown reduce 'median'; known: sum, mean, perplexity, none"),
        ({"direction": "up"}, "unknown direction 'up'; known: forward, reverse, both"),
        ({"rc": "concat"}, "unknown rc mode 'concat'; known: auto, none, average"),
        ({"stride": 0}, "stride must be at least 1, not 0"),
        ({"batch_tokens": 0}, "batch_tokens must be at least 1, not 0"),
        ({"rc": "average", "direction": "reverse"}, "reads both strands, direction='reverse' only one"),
    ],
)
def test_wrong_options_are_explained(masked, options, message):
    with pytest.raises(ConfigError, match=message):
        score_sequences(masked, ["ACGT"], **options)


def test_what_a_model_cannot_read_is_explained(masked):
    protein = bx.build("protein", **SIZES).eval()
    state = encode_context(protein, ["MKT"])
    for options, asked in (({"rc": "average"}, "rc='average'"), ({"direction": "both"}, "direction='both'")):
        with pytest.raises(
            ConfigError, match=f"{asked} reads the other strand of DNA; protein reads protein from"
        ):
            score_sequences(protein, ["MKT"], **options)
    with pytest.raises(ModelError, match="dna is a masked model: it reads no context"):
        score_sequences(masked, ["ACGT"], state=state)
    with pytest.raises(ModelError, match="the state holds 2 sequences; a context is one"):
        score_sequences(protein, ["MKT"], state=state.select([0, 0]))
    with pytest.raises(ModelError, match=r"dna reads both ways \(shared\): it reads no context"):
        encode_context(masked, ["ACGT"])
    with pytest.raises(SequenceError, match="a context holds at least one sequence"):
        encode_context(protein, [])
    with pytest.raises(SequenceError, match="sequence 1 of the list: "):
        encode_context(protein, ["MKT", "M@T"])
    with pytest.raises(SequenceError, match="give a list of sequences, not one string"):
        score_sequences(protein, "MKT")
    with pytest.raises(SequenceError, match="an empty sequence has no likelihood"):
        score_batch(protein, [np.empty(0, np.uint8)])
    unmasked = bx.build(
        "tokens",
        dim=32,
        blocks=1,
        heads=2,
        vocabulary=9,
        block="pre_up",
        direction="shared",
        objective="masked",
    )
    with pytest.raises(ModelError, match="tokens hides letters, but its tokens vocabulary has no mask"):
        score_sequences(unmasked.eval(), ["3 4"])
