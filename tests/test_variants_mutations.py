"""Mutations: written and read, put in and taken out."""

import pytest

from bio_xlstm.errors import SequenceError
from bio_xlstm.variants.mutations import (
    LETTERS,
    apply_mutations,
    parse_mutations,
    revert_mutations,
    single_substitutions,
)


@pytest.mark.parametrize(
    "text", ["K2R:A4T", "A4T:K2R", "k2r,a4t", "K2R;A4T", "K2R A4T", "p.K2R/p.A4T", "K2R+A4T"]
)
def test_mutations_are_read_in_any_order_and_writing(text: str) -> None:
    found = parse_mutations(text)
    assert [str(mutation) for mutation in found] == ["K2R", "A4T"]
    assert apply_mutations("MKTAY", found) == "MRTTY"
    assert revert_mutations("MRTTY", found) == "MKTAY"


@pytest.mark.parametrize("text", ["WT", "wt", "_wt", "wildtype"])
def test_the_wild_type_changes_nothing(text: str) -> None:
    assert parse_mutations(text) == ()


def test_offset_counts_from_elsewhere() -> None:
    assert apply_mutations("MKTAY", parse_mutations("K27R", offset=-25)) == "MRTAY"


def test_a_scan_lists_every_exchange_once() -> None:
    found = single_substitutions("MXK", LETTERS["protein"])
    assert len(found) == len(set(found)) == 2 * 19
    assert {mutation.position for mutation in found} == {1, 3}
    assert len(single_substitutions("ACGTN", LETTERS["dna"])) == 4 * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A123", "'A123' is no substitution such as A123T"),
        ("K2*", r"'K2\*' is no substitution"),
        ("K2R:K2T", "position 2 is changed twice"),
        ("", "no mutation is given"),
        ("K0R", "position 0 is outside of the wild type, which has 5 letters"),
        ("Y6F", "position 6 is outside of the wild type, which has 5 letters"),
        ("K3R", "position 3 of the wild type is T, not K"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(SequenceError, match=message):
        apply_mutations("MKTAY", parse_mutations(text))


def test_a_sequence_without_its_mutation_is_refused() -> None:
    with pytest.raises(SequenceError, match="position 2 of the mutated sequence is K, not R"):
        revert_mutations("MKTAY", parse_mutations("K2R"))
