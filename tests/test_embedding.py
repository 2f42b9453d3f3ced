"""Embeddings do not depend on the batch, the order or the way a sequence is cut."""

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.embedding import embed_batch
from bio_xlstm.errors import ConfigError, SequenceError

POOLS = ("mean", "last", "first", "max", "none")


@pytest.fixture(scope="module")
def model():
    """Build a small DNA model."""
    return bx.build("dna", dim=32, blocks=2, heads=2, seed=0).eval()


def sequences(lengths, seed=0):
    """Draw base ids."""
    generator = np.random.default_rng(seed)
    return [generator.integers(7, 11, length).astype(np.uint8) for length in lengths]


def assert_equal(found, wanted):
    """Compare dicts of vectors to 1e-5 relative error."""
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert found[key].shape == value.shape and found[key].dtype == np.float32
        assert np.linalg.norm(found[key] - value) <= 1e-5 * np.linalg.norm(value), key


def test_batch_order_and_budget_do_not_matter(model):
    ids = sequences((5, 1, 300, 64, 17, 128, 2))
    options = {"pools": POOLS, "layers": (0, 1, -1)}
    alone = [embed_batch(model, [one], **options)[0] for one in ids]
    for budget in (40, 8192):  # 40: the longer ones stream through the state
        for found, wanted in zip(embed_batch(model, ids, batch_tokens=budget, **options), alone, strict=True):
            assert_equal(found, wanted)
    for found, wanted in zip(embed_batch(model, ids[::-1], **options), alone[::-1], strict=True):
        assert_equal(found, wanted)


def test_pools_are_what_they_say(model):
    (ids,) = sequences((50,))
    vectors = embed_batch(model, [ids], pools=POOLS)[0]
    tokens = vectors[2, "none"]
    assert tokens.shape == (50, 32)
    assert np.allclose(vectors[2, "mean"], tokens.mean(0), atol=1e-6)
    assert np.array_equal(vectors[2, "max"], tokens.max(0))
    assert np.array_equal(vectors[2, "first"], tokens[0])
    assert np.array_equal(vectors[2, "last"], tokens[-1])


def test_windows_of_a_model_that_reads_both_ways_cover_every_token():
    model = bx.build("dna", dim=32, blocks=2, heads=2, direction="shared", objective="masked").eval()
    for length in (1, 15, 16, 17, 28, 29, 75):
        (ids,) = sequences((length,))
        (vectors,) = embed_batch(model, [ids], pools=("none",), batch_tokens=16)
        assert vectors[2, "none"].shape == (length, 32)
    whole = embed_batch(model, [ids], pools=("none",), layers=(0,))[0]
    assert_equal(embed_batch(model, [ids], pools=("none",), layers=(0,), batch_tokens=16)[0], whole)


def test_reverse_complement_average_is_the_same_for_both_strands(model):
    texts = ["ACGTTGCAAC", "GGGTTTACCC"]
    strands = [
        model.tokenizer.decode(model.tokenizer.reverse_complement(model.tokenizer.encode(t))) for t in texts
    ]
    for pool in ("mean", "max", "last"):
        one, other = (model.embed(side, pool=pool, rc="average") for side in (texts, strands))
        assert np.allclose(one, other, atol=1e-6)
    per_base = model.embed(texts, pool="none", rc="average"), model.embed(strands, pool="none", rc="average")
    assert np.allclose(per_base[0][0], per_base[1][0][::-1], atol=1e-6)
    assert model.embed(texts, rc="concat").shape == (2, 64)


def test_iterating_equals_embedding_and_keeps_unreadable_records(model):
    texts = ["ACGT", "AC@GT", "", "GGGTTTACCC"]
    found = list(model.embed_iter(texts))
    assert [text for text, _ in found] == texts
    assert found[1][1] is None and found[2][1] is None
    assert np.allclose(np.stack([found[0][1], found[3][1]]), model.embed([texts[0], texts[3]]), atol=1e-6)


def test_nothing_in_nothing_out(model):
    assert model.embed([]).shape == (0, 32)
    assert model.embed([], pool="none") == []


@pytest.mark.parametrize(
    ("options", "message"),
    (
        ({"pool": "median"}, "unknown pool 'median'; known: mean, last, first, max, none"),
        ({"rc": "both"}, "unknown rc mode 'both'; known: none, average, concat"),
        ({"layer": 9}, "there is no layer 9"),
        ({"batch_tokens": 0}, "batch_tokens must be at least 1, not 0"),
    ),
)
def test_wrong_options_are_explained(model, options, message):
    with pytest.raises(ConfigError, match=message):
        model.embed(["ACGT"], **options)


def test_wrong_sequences_are_explained(model):
    with pytest.raises(SequenceError, match="sequence 1 of the list: "):
        model.embed(["ACGT", "AC@T"])
    with pytest.raises(SequenceError, match="sequence 0 of the list is not text but NoneType"):
        model.embed([None])
    assert [vector for _, vector in model.embed_iter([None])] == [None]
    with pytest.raises(SequenceError, match="give a list of sequences, not one string"):
        model.embed("ACGT")
    with pytest.raises(ConfigError, match="rc='average' needs a DNA model; protein reads protein"):
        bx.build("protein", dim=32, blocks=1, heads=2).embed(["MKT"], rc="average")
    with pytest.raises(SequenceError, match="an empty sequence has no embedding"):
        embed_batch(model, [np.empty(0, np.uint8)])
