"""What is known of letters: numbers of any letter, likeness that is a kernel, harm that is what scans show."""

import csv
from importlib.resources import files

import pytest
import torch

from bio_xlstm.in_context.substitutions import CODES, codes_of, substitutions


def at(letter: str) -> int:
    return ord(letter) - ord("A")


def test_letters_of_either_case_have_one_number_and_all_else_another() -> None:
    letters = torch.tensor(list(b"AaZz*-1@[`{\x00\xff"), dtype=torch.uint8)
    assert codes_of(letters).tolist() == [0, 0, 25, 25, *[CODES - 1] * 9]


@pytest.mark.parametrize("kind", ["protein", "dna"])
def test_likeness_is_a_kernel(kind: str) -> None:
    known = substitutions(kind)
    torch.testing.assert_close(known.alike, known.alike.T)
    torch.testing.assert_close(known.root @ known.root.T, known.alike)
    torch.testing.assert_close(known.alike.diagonal(), torch.ones(CODES).double())
    assert torch.linalg.eigvalsh(known.alike).min() > -1e-9


def test_residues_that_replace_each_other_are_alike() -> None:
    alike = substitutions("protein").alike
    assert alike[at("I"), at("V")] > alike[at("I"), at("L")] > alike[at("I"), at("D")]
    assert alike[at("K"), at("R")] > alike[at("K"), at("W")]
    assert alike[at("X"), at("A")] == 0
    torch.testing.assert_close(substitutions("dna").alike, torch.eye(CODES).double())


def test_harm_is_what_scans_show() -> None:
    """Proline breaks what valine was part of; nothing is known of letters that are no residues, nor of DNA."""
    harm = substitutions("protein").harm
    assert harm[at("V"), at("P")] > 2 * harm[at("V"), at("I")] and harm.min() == 0
    assert not harm[at("X")].any() and not harm[:, at("B")].any() and not substitutions("dna").harm.any()


def test_the_table_of_effects_is_whole() -> None:
    text = files("bio_xlstm.in_context").joinpath("typical_effects.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len({(row["wild"], row["mutant"]) for row in rows}) == len(rows) == 380
    assert min(int(row["observations"]) for row in rows) > 0
