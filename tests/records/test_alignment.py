"""Families read from every format of alignments: the same sequences, the same columns."""

from pathlib import Path

import pytest

from bio_xlstm.errors import InputError
from bio_xlstm.records.alignment import Alignment, read_alignment

A3M = ">q first\nMKTAY\nIAKQR\n>a\nMK-AYIAKQ-\n>b x\nMKTvvAYIAK--*\n"
A2M = ">q first\nMKT..AYIAKQR\n>a\nMK-..AYIAKQ-\n>b\nMKTvvAYIAK--\n"
STO = "# STOCKHOLM 1.0\n\nq  MKTAYI\na  MK-AYI\nb  MKTAYI\n\nq  AKQR\na  AKQ.\nb  AK..\n//\n"
ROWS = "MKTAYIAKQR\nMK-AYIAKQ-\nMKTAYIAK--\n"
EXPECTED = ["MKTAYIAKQR", "MK-AYIAKQ-", "MKTAYIAK--"]


def rows(family: Alignment) -> list[str]:
    """Write columns as text."""
    assert family.columns is not None
    return ["".join(chr(code) if code else "-" for code in row) for row in family.columns]


@pytest.mark.parametrize(("name", "text"), [("f.a3m", A3M), ("f.a2m", A2M), ("f.sto", STO), ("f.aln", ROWS)])
def test_every_format_gives_the_same_columns(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    family = read_alignment(tmp_path / name)
    assert rows(family) == EXPECTED
    inserted = "MKTVVAYIAK" if name in ("f.a3m", "f.a2m") else "MKTAYIAK"
    assert family.sequences == ("MKTAYIAKQR", "MKAYIAKQ", inserted)
    assert family.ids == (("",) * 3 if name == "f.aln" else ("q", "a", "b"))


def test_lower_case_rows_of_one_length_are_columns_as_well(tmp_path: Path) -> None:
    (tmp_path / "f.fasta").write_text(">a\nmkt-a\n>b\nMKTAy\n")
    assert rows(read_alignment(tmp_path / "f.fasta")) == ["MKT-A", "MKTAY"]


def test_rows_of_different_lengths_align_nothing(tmp_path: Path) -> None:
    (tmp_path / "f.fasta").write_text(">a\nMKT\n>b\n---\n>c\nMKTA\n")
    family = read_alignment(tmp_path / "f.fasta")
    assert family.columns is None and family.ids == ("a", "c") and family.sequences == ("MKT", "MKTA")


def test_a_family_without_residues_is_named(tmp_path: Path) -> None:
    (tmp_path / "f.a3m").write_text(">a\n---\n")
    with pytest.raises(InputError, match="f.a3m: no sequence of the family holds a residue"):
        read_alignment(tmp_path / "f.a3m")
