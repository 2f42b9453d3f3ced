"""Variants are told from other sequences of their length, and strands from each other."""

import numpy as np
import pytest
import torch

from bio_xlstm.in_context.letters import letters
from bio_xlstm.in_context.substitutions import codes_of
from bio_xlstm.in_context.template import Template, common_letters, on_one_strand

BASES = "ACGT"


def codes(*texts: str) -> torch.Tensor:
    """Number the letters of sequences of one length."""
    return codes_of(torch.from_numpy(letters(texts))[:, : len(texts[0])])


def drawn(length: int, alphabet: str = BASES, seed: int = 0) -> str:
    """Draw a sequence."""
    return "".join(np.random.default_rng(seed).choice(list(alphabet), length))


def changed(text: str, places: range, letter: str = "W") -> str:
    """Put a letter at some places."""
    return "".join(letter if place in places else one for place, one in enumerate(text))


def opposite(text: str) -> str:
    """Write the other strand."""
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_the_most_common_letters() -> None:
    assert torch.equal(common_letters(codes("ACD", "AWD", "VCD")), codes("ACD")[0])


def test_other_sequences_are_no_variants() -> None:
    wild = drawn(60, "ACDEFGHIKLMNPQRSTVY")
    singles = [changed(wild, range(place, place + 1)) for place in range(20)]
    template = Template.of(codes(wild, *singles), "protein")
    assert template.most == 30 and torch.equal(template.codes, codes(wild)[0])
    other = drawn(60, "ACDEFGHIKLMNPQRSTVY", seed=1)
    asked = codes(wild, changed(wild, range(30)), changed(wild, range(31)), other, wild[1:] + "A")
    turned, near = template.compare(asked, "protein")
    assert near.tolist() == [True, True, False, False, False] and torch.equal(turned, asked)


def test_one_stray_example_is_none_either() -> None:
    wild = drawn(60, "ACDEFGHIKLMNPQRSTVY")
    texts = [*(changed(wild, range(place, place + 2)) for place in range(9)), "X" * 60]
    known = codes(*texts)
    assert Template.of(known, "protein").compare(known, "protein")[1].tolist() == [True] * 9 + [False]


@pytest.mark.parametrize("kind", ["protein", "dna"])
def test_examples_that_are_all_different_are_compared(kind: str) -> None:
    texts = [drawn(40, seed=seed) for seed in range(12)]
    known = codes(*texts)
    turned, near = Template.of(known, kind).compare(known, kind)
    assert near.all() and torch.equal(turned, known)


@pytest.mark.parametrize("first", [0, 1])
def test_strands(first: int) -> None:
    wild = drawn(40)
    plain = [changed(wild, range(place, place + 2), "G") for place in range(12)]
    mixed = [opposite(text) if place % 3 == first else text for place, text in enumerate(plain)]
    known = codes(*mixed)
    template = Template.of(known, "dna")
    turned, near = template.compare(known, "dna")
    assert near.all()
    # all on one strand: that of the first, or of most
    assert torch.equal(turned, codes(*plain)) or torch.equal(turned, codes(*map(opposite, plain)))
    both = template.compare(codes(wild, opposite(wild)), "dna")[0]
    assert torch.equal(both[0], both[1])
    # proteins of these letters have no other strand
    assert not Template.of(codes(*plain), "protein").compare(codes(opposite(wild)), "protein")[1].any()


def test_unclear_strands_stay() -> None:
    asked = codes(drawn(40, seed=3), drawn(40, seed=4))
    assert torch.equal(on_one_strand(asked, codes(drawn(40, seed=5))[0], "dna"), asked)
    # letters without a partner face themselves
    assert torch.equal(on_one_strand(codes("NNACGG"), codes("CCGTNN")[0], "dna"), codes("CCGTNN"))


def test_a_stray_example_that_comes_first_does_not_hide_the_strands() -> None:
    wild = drawn(60)
    plain = [changed(wild, range(place, place + 2), "G") for place in range(20)]
    mixed = [opposite(text) if place % 2 else text for place, text in enumerate(plain)]
    known = codes(drawn(60, seed=9), *mixed)
    template = Template.of(known, "dna")
    turned, near = template.compare(known, "dna")
    assert near.tolist() == [False] + [True] * 20 and template.most == 30
    assert len(
        {tuple(one.tolist()) for one in turned[1:]} & {tuple(one.tolist()) for one in codes(*plain)}
    ) in (0, 20)
    # a strand that is known is kept
    for seed in (codes(wild)[0], codes(opposite(wild))[0]):
        assert torch.equal(Template.of(known, "dna", seed).codes, seed)


def test_examples_with_many_changes_allow_more() -> None:
    wild = drawn(40, "ACDEFGHIKLMNPQRSTVY")
    known = codes(wild, *(changed(wild, range(place, place + 7)) for place in range(0, 33, 7)))
    assert Template.of(known, "protein").most == 28
    assert Template.of(codes(wild, wild, wild, changed(wild, range(7))), "protein").most == 28
    assert Template.of(codes(wild, wild), "protein").most == 20
