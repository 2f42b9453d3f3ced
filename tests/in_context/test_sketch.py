"""Sketches keep what counts: products are those of the counts, on average; strands are one; blocks do not matter."""

import numpy as np
import pytest

from bio_xlstm.in_context import sketch
from bio_xlstm.in_context.sketch import WORDS, sketch_words


def drawn(count: int, length: int, letters: str = "ACDEFGHIKLMNPQRSTVWY", seed: int = 0) -> list[str]:
    """Draw sequences."""
    draw = np.random.default_rng(seed)
    return ["".join(draw.choice(list(letters), length)) for _ in range(count)]


def test_products_are_those_of_the_counts() -> None:
    """Shared words are what products estimate: without bias, with a known error."""
    texts = drawn(30, 60)
    words = [{text[place : place + 3] for place in range(58)} for text in texts]
    shared = np.array([[len(one & other) for other in words] for one in words])
    found = sketch_words(texts, "protein")
    assert found.shape == (30, WORDS)
    errors = (found.astype(float) @ found.T.astype(float) - shared)[~np.eye(30, dtype=bool)]
    # of about 60 x 60 chance meetings in so many places
    assert errors.std() < 1.3 * 60 / WORDS**0.5 and abs(errors.mean()) < 0.2


def test_one_substitution_changes_few_numbers() -> None:
    """Three words that go and three that come: nothing else moves."""
    (text,) = drawn(1, 100)
    other = text[:40] + ("A" if text[40] != "A" else "C") + text[41:]
    assert np.abs(sketch_words([text], "protein") - sketch_words([other], "protein")).sum() <= 6


def test_both_strands_of_dna_have_the_same_words() -> None:
    text = drawn(1, 50, "ACGT")[0]
    turned = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert (sketch_words([text], "dna") == sketch_words([turned], "dna")).all()
    assert (sketch_words([text], "dna") != sketch_words([text[::-1]], "dna")).any()


@pytest.mark.parametrize("kind", ["protein", "dna"])
def test_company_does_not_matter(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sequence is sketched alike alone and among others, those shorter than a word too."""
    texts = ["A", "ACG", *drawn(5, 20, "ACGT"), "AC", "ACGTACG", ""]
    monkeypatch.setattr(sketch, "_BLOCK", 4)
    whole, alone = sketch_words(texts, kind), [sketch_words([text], kind) for text in texts]
    assert (whole == np.concatenate(alone)).all()
    assert not sketch_words(["A", ""], kind).any() and sketch_words([], kind).shape == (0, WORDS)


def test_long_repeats_do_not_overflow() -> None:
    """Counts stop at what two bytes hold."""
    found = sketch_words(["A" * 70_000], "protein")
    assert np.abs(found).max() == 2**15 - 1
