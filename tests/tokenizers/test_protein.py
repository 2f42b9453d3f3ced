import numpy as np
import pytest

from bio_xlstm.tokenizers.protein import ProteinTokenizer
from bio_xlstm.tokenizers.vocabulary import Vocabulary

PROTEIN = ProteinTokenizer()


def test_the_vocabulary_is_that_of_the_published_models() -> None:
    symbols = PROTEIN.vocabulary.symbols
    assert symbols[:4] == ("<cls>", "<pad>", "<eos>", "<unk>")
    assert "".join(symbols[4:31]) == "LAGVSERTIDPKQNFYMHWCXBUZO.-"
    assert symbols[31:] == ("<null_1>", "<mask>", "<mask-1>", "<mask-2>", "<mask-3>", "<mask-4>", "<mask-5>")
    assert (PROTEIN.start, PROTEIN.stop, PROTEIN.mask, PROTEIN.unknown) == (0, 0, 32, 3)


def test_targets_are_the_residues_and_the_end() -> None:
    targets = [PROTEIN.vocabulary.symbols[i] for i in np.flatnonzero(PROTEIN.targets)]
    # not X, B and Z, which stand for several
    assert targets == ["<cls>", *"LAGVSERTIDPKQNFYMHWCUO"]


def test_rare_residues_have_their_own_tokens() -> None:
    prepared = PROTEIN.prepare("muobzx")
    assert (prepared.status, PROTEIN.decode(prepared.ids)) == ("ok", "MUOBZX")


def test_a_residue_without_token_is_unknown_and_counted() -> None:
    prepared = PROTEIN.prepare("MJKj")
    assert (prepared.status, prepared.detail) == ("cleaned", "2 rare residues (J) read as X")
    assert PROTEIN.decode(prepared.ids) == "MXKX"


def test_a_small_vocabulary_reads_rare_residues_as_unknown() -> None:
    symbols = ("<cls>", "<mask>", "<unk>", *"ACDEFGHIKLMNPQRSTVWYX")
    small = ProteinTokenizer(vocabulary=Vocabulary(symbols))
    prepared = small.prepare("MUOBZJK")
    assert (small.decode(prepared.ids), prepared.status) == ("MXXXXXK", "cleaned")
    assert prepared.detail == "5 rare residues (B, J, O, U, Z) read as X"
    assert ProteinTokenizer.from_json(small.to_json()) == small


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("MKT*", "1 trailing stop removed"),
        ("MKT*\n", "1 trailing stop removed"),
        ("MKT**", "2 trailing stops removed"),
        ("MKT-*\r\n", "1 gap, 1 carriage return, 1 trailing stop removed"),
        ("MKT*-*", "1 gap, 2 trailing stops removed"),
    ],
)
def test_a_trailing_stop_is_removed(text: str, detail: str) -> None:
    prepared = PROTEIN.prepare(text)
    assert (PROTEIN.decode(prepared.ids), prepared.status, prepared.detail) == ("MKT", "cleaned", detail)


@pytest.mark.parametrize(
    ("text", "residue", "offset"), [("MK*T", 3, 2), ("*MKT", 1, 0), ("M-\nK*T*", 3, 4), ("MK\r\n*JT", 3, 4)]
)
def test_an_inner_stop_is_not_guessed_away(text: str, residue: int, offset: int) -> None:
    prepared = PROTEIN.prepare(text)
    assert (prepared.status, len(prepared.ids), prepared.position) == ("inner_stop", 0, offset)
    assert prepared.detail == f"stop '*' at residue {residue} is not at the end"


def test_a_stop_alone_is_empty() -> None:
    prepared = PROTEIN.prepare("*")
    assert (prepared.status, prepared.detail) == ("empty", "no residues left after removing 1 trailing stop")


def test_decode_shows_gap_and_mask_tokens() -> None:
    assert PROTEIN.decode([0, 20, 29, 30, 33, 15, 0]) == "M.-<mask-1>K"
