from typing import Any

import numpy as np
import pytest
from Bio.Seq import Seq
from hypothesis import given
from hypothesis import strategies as st

from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.tokenizers.dna import DnaTokenizer
from bio_xlstm.tokenizers.vocabulary import Vocabulary

DNA = DnaTokenizer()


def test_the_vocabulary_is_that_of_the_published_models() -> None:
    assert DNA.vocabulary.symbols == (
        *("[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]"),
        *("A", "C", "G", "T", "N"),
    )
    assert (DNA.start, DNA.stop, DNA.mask, DNA.unknown) == (2, 1, 3, 6)


def test_targets_are_the_four_bases_and_the_end() -> None:
    assert [DNA.vocabulary.symbols[i] for i in np.flatnonzero(DNA.targets)] == ["[SEP]", "A", "C", "G", "T"]


def test_rna_is_read_as_dna() -> None:
    prepared = DNA.prepare("AUGuu")
    assert (prepared.status, prepared.detail) == ("ok", "")
    assert DNA.decode(prepared.ids) == DNA.decode(DNA.encode("AUGUU")) == "ATGTT"


def test_an_rna_vocabulary_reads_dna_as_rna() -> None:
    vocabulary = Vocabulary(("[SEP]", "[BOS]", "[MASK]", "[UNK]", "A", "C", "G", "U", "N"))
    rna = DnaTokenizer(vocabulary=vocabulary, pairs=(("A", "U"), ("C", "G")))
    assert rna.decode(rna.prepare("ACGT").ids) == "ACGU"
    assert DnaTokenizer.from_json(rna.to_json()) == rna


@pytest.mark.parametrize(
    ("text", "read", "detail"),
    [
        ("ACGTR", "ACGTN", "1 ambiguous base (R) read as N"),
        ("ryaRn", "NNANN", "3 ambiguous bases (R, Y) read as N"),
        ("BDHKMRSVWXY", "N" * 11, "11 ambiguous bases (B, D, H, K, M, R, S, V, W, X, Y) read as N"),
        ("AR-\r\n", "AN", "1 ambiguous base (R) read as N; 1 gap, 1 carriage return removed"),
    ],
)
def test_ambiguity_is_counted(text: str, read: str, detail: str) -> None:
    prepared = DNA.prepare(text)
    assert (DNA.decode(prepared.ids), prepared.status, prepared.detail) == (read, "cleaned", detail)


def test_unknown_bases_are_no_problem() -> None:
    assert DNA.prepare("NNNnnACGT").status == "ok"


def test_a_protein_is_not_dna() -> None:
    prepared = DNA.prepare("MKTAYIAKQR")
    assert (prepared.status, prepared.detail, prepared.position) == (
        "error",
        "'I' at position 6 is not a nucleotide",
        5,
    )


def test_encode_refuses_ambiguity() -> None:
    with pytest.raises(SequenceError, match="'R' at position 4 has no token; prepare"):
        DNA.encode("ACGR")


def test_the_complement_undoes_itself_and_moves_only_bases() -> None:
    assert DNA.complement[DNA.complement].tolist() == list(range(12))
    moved = [DNA.vocabulary.symbols[i] for i in np.flatnonzero(DNA.complement != np.arange(12))]
    assert moved == ["A", "C", "G", "T"]


@given(st.text(alphabet="ACGTN"))
def test_the_reverse_complement_is_biopythons(text: str) -> None:
    ids = DNA.encode(text)
    other = DNA.reverse_complement(ids)
    assert DNA.decode(other) == str(Seq(text).reverse_complement())
    assert DNA.reverse_complement(other).tolist() == ids.tolist()
    assert other.dtype == ids.dtype and other.flags.c_contiguous


@pytest.mark.parametrize(
    ("complement", "message"),
    [
        ({"A": "T"}, "field 'complement' maps 'A' to 'T', but not back"),
        ({"A": "T", "T": "C", "C": "A"}, "field 'complement' maps 'A' to 'T', but not back"),
        ({"A": 3}, "field 'complement' maps 'A' to 3, but not back"),
        ({"A": "Q", "Q": "A"}, "field 'complement' names 'Q', which is not in the vocabulary"),
        (["AT"], "field 'complement' must map symbols to symbols, not list"),
    ],
)
def test_a_complement_that_does_not_undo_itself_is_refused(complement: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        DnaTokenizer.from_json({**DNA.to_json(), "complement": complement})
    assert str(caught.value) == message


def test_a_symbol_has_one_partner() -> None:
    with pytest.raises(ModelError, match="field 'complement' gives 'A' more than one partner"):
        DnaTokenizer(pairs=(("A", "T"), ("A", "C")))


def test_a_complement_may_name_symbols_that_face_themselves() -> None:
    table = {**DNA.to_json()["complement"], "N": "N"}
    assert DnaTokenizer.from_json({**DNA.to_json(), "complement": table}) == DNA
