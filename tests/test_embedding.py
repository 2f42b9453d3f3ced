"""Embeddings do not depend on the batch, the order or the way a sequence is cut."""

from itertools import pairwise

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.embedding import cut_windows, embed_batch
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
        ({"rc": "both"}, "unknown rc mode 'both'; known: auto, none, average, concat"),
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


@pytest.mark.parametrize("rc", ("auto", "none", "average", "concat"))
def test_equivariant_models_embed_both_strands_at_once(rc):
    model = bx.build(
        "dna",
        dim=32,
        blocks=2,
        heads=2,
        direction="shared",
        objective="masked",
        reverse_complement="equivariant",
    ).eval()
    ids = sequences((1, 20, 90, 33))
    turned = [model.tokenizer.reverse_complement(one) for one in ids]
    for budget in (8192, 24):
        options = {"pools": POOLS, "layers": (0, 2), "rc": rc, "batch_tokens": budget}
        pairs = zip(embed_batch(model, ids, **options), embed_batch(model, turned, **options), strict=True)
        for found, other in pairs:
            assert found[2, "mean"].shape == ((64,) if rc == "concat" else (32,))
            if rc in ("auto", "average"):
                assert_equal(
                    {key: array[::-1] if key[1] == "none" else array for key, array in other.items()}, found
                )
            if rc == "concat":
                halves = np.split(other[2, "mean"], 2)
                assert np.allclose(np.concatenate(halves[::-1]), found[2, "mean"], atol=1e-6)


def test_models_made_for_both_strands_average_them_unasked():
    texts = ["ACGTTGCAAC", "GGGTTTACCC"]
    plain = bx.build("dna", dim=32, blocks=2, heads=2)
    tied = bx.build("dna", dim=32, blocks=2, heads=2, reverse_complement="post_hoc")
    assert np.array_equal(plain.embed(texts), plain.embed(texts, rc="none"))
    assert np.array_equal(tied.embed(texts), plain.embed(texts, rc="average"))
    assert np.array_equal(tied.embed(texts, rc="none"), plain.embed(texts))


def test_windows_look_the_same_from_both_ends():
    for length in range(1, 120):
        for budget in range(1, 40):
            windows = cut_windows(length, budget)
            assert windows[0].first == 0 and windows[-1].last == length
            assert all(one.last == other.first for one, other in pairwise(windows))
            assert all(
                0 <= w.begin <= w.first <= w.last <= w.end <= length and w.end - w.begin <= budget
                for w in windows
            )
            assert [
                (length - w.end, length - w.begin, length - w.last, length - w.first) for w in windows[::-1]
            ] == ([tuple(window) for window in windows])
