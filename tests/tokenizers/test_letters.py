"""The bad-input rules that DNA and proteins share."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bio_xlstm.errors import SequenceError
from bio_xlstm.tokenizers import TOKENIZERS, Prepared, Tokenizer

DNA, PROTEIN = TOKENIZERS["dna"](), TOKENIZERS["protein"]()
LETTERS = {DNA: "ACGTN", PROTEIN: "LAGVSERTIDPKQNFYMHWCXBUZO"}
STATUSES = {"ok", "cleaned", "empty", "inner_stop", "error"}
both = pytest.mark.parametrize("tokenizer", [DNA, PROTEIN], ids=["dna", "protein"])


def described(prepared: Prepared) -> tuple[Any, ...]:
    return prepared.ids.tolist(), prepared.status, prepared.detail, prepared.position


@both
@given(data=st.data())
def test_text_comes_back(tokenizer: Tokenizer, data: st.DataObject) -> None:
    text = data.draw(st.text(alphabet=LETTERS[tokenizer]))
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.encode(text.lower()).tolist() == ids.tolist()
    for form in (text, text.lower(), text.encode()):
        prepared = tokenizer.prepare(form)
        assert prepared.ids.tolist() == ids.tolist()
        assert prepared.status == ("ok" if text else "empty")


@both
@given(text=st.text(alphabet=st.one_of(st.sampled_from("ACGTacgtuRj-*. 1\n\r\t@\ufeff"), st.characters())))
def test_any_text_is_prepared_with_a_reason(tokenizer: Tokenizer, text: str) -> None:
    prepared = tokenizer.prepare(text)
    assert prepared.status in STATUSES
    assert (len(prepared.ids) > 0) == (prepared.status in {"ok", "cleaned"})
    assert (prepared.detail == "") == (prepared.status == "ok")
    assert (prepared.position is not None) == (prepared.status in {"error", "inner_stop"})
    assert "\n" not in prepared.detail
    try:
        strict = tokenizer.encode(text).tolist()
    except SequenceError:
        assert prepared.status not in {"ok"}
    else:
        assert prepared.status in {"ok", "empty"} and prepared.ids.tolist() == strict


@both
@given(text=st.text(alphabet=st.one_of(st.sampled_from("ACG-*é🧬\ufeff\n@"), st.characters(codec="utf-8"))))
def test_bytes_are_prepared_as_their_text(tokenizer: Tokenizer, text: str) -> None:
    of_text, of_bytes = tokenizer.prepare(text), tokenizer.prepare(text.encode())
    assert described(of_text)[:3] == described(of_bytes)[:3]
    if of_text.position is not None:
        assert of_bytes.position is not None
        assert text.encode()[: of_bytes.position].decode() == text[: of_text.position]


@both
@given(data=st.binary())
def test_any_bytes_are_prepared_with_a_reason(tokenizer: Tokenizer, data: bytes) -> None:
    assert tokenizer.prepare(data).status in STATUSES


@both
def test_line_feeds_are_dropped_in_silence(tokenizer: Tokenizer) -> None:
    expected = tokenizer.encode("ACGTACGT").tolist()
    assert described(tokenizer.prepare("ACGT\nACGT\n")) == (expected, "ok", "", None)
    assert tokenizer.encode("ACGT\nACGT\n").tolist() == expected


@both
@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("AC-GT", "1 gap removed"),
        ("A--C..GT", "4 gaps removed"),
        ("1 ACGT", "1 digit, 1 blank removed"),
        ("AC\r\nGT\r\n", "2 carriage returns removed"),
        ("AC\tGT", "1 tab removed"),
        ("\ufeffACGT", "1 byte order mark removed"),
        ("AC\ufeffGT", "1 byte order mark removed"),
        (
            "\ufeff12 A-C GT\t\r\n",
            "1 gap, 2 digits, 2 blanks, 1 tab, 1 carriage return, 1 byte order mark removed",
        ),
    ],
)
def test_clutter_is_removed_and_counted(tokenizer: Tokenizer, text: str, detail: str) -> None:
    expected = tokenizer.encode("ACGT").tolist()
    assert described(tokenizer.prepare(text)) == (expected, "cleaned", detail, None)
    assert described(tokenizer.prepare(text.encode())) == (expected, "cleaned", detail, None)


@both
@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "empty sequence"),
        ("\n\n", "empty sequence"),
        ("-------", "no residues left after removing 7 gaps"),
        (" 1\r\n-", "no residues left after removing 1 gap, 1 digit, 1 blank, 1 carriage return"),
        ("\ufeff", "no residues left after removing 1 byte order mark"),
    ],
)
def test_nothing_left_is_empty(tokenizer: Tokenizer, text: str, detail: str) -> None:
    assert described(tokenizer.prepare(text)) == ([], "empty", detail, None)


@both
@pytest.mark.parametrize(
    ("text", "symbol", "position", "offset"),
    [
        ("ACGT@ACGT", "'@'", 5, 4),
        ("AC\nGT\nA@", "'@'", 6, 7),
        ("-AC@&", "'@'", 4, 3),
        ("ACé", "'é'", 3, 2),
        ("AC–GT", "'–'", 3, 2),
        ("A🧬@", "'🧬'", 2, 1),
        ("\ufeffA\x80", r"'\x80'", 3, 2),
        ("A\x00", r"'\x00'", 2, 1),
        ('A"', "'\"'", 2, 1),
        ("A*C@", "'@'", 4, 3),
    ],
)
def test_anything_else_is_an_error_that_names_it(
    tokenizer: Tokenizer, text: str, symbol: str, position: int, offset: int
) -> None:
    if tokenizer is DNA and "*" in text:
        symbol, position, offset = "'*'", 2, 1
    noun = {"dna": "a nucleotide", "protein": "an amino acid"}[tokenizer.kind]
    detail = f"{symbol} at position {position} is not {noun}"
    assert described(tokenizer.prepare(text)) == ([], "error", detail, offset)


@both
def test_bytes_that_are_not_utf8_are_named(tokenizer: Tokenizer) -> None:
    prepared = tokenizer.prepare(b"ACGT\xe9A")
    assert described(prepared) == ([], "error", "byte 0xE9 at position 5 is not UTF-8 text", 4)


@both
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AC@", "^'@' at position 3 is not a"),
        (
            "A\nC-",
            "^'-' at position 3 has no token; prepare\\(\\) removes or replaces such symbols and counts them$",
        ),
        ("ACé", "^'é' at position 3 is not a"),
    ],
)
def test_encode_changes_nothing_unseen(tokenizer: Tokenizer, text: str, message: str) -> None:
    with pytest.raises(SequenceError, match=message):
        tokenizer.encode(text)


@both
def test_a_large_bad_record_is_repaired_whole(tokenizer: Tokenizer) -> None:
    rng = np.random.default_rng(0)
    clean = "".join(rng.choice(list("ACGT"), 20_000))
    text = "\r\n".join(clean[i : i + 60].lower() + "-" for i in range(0, len(clean), 60))
    lines = -(-len(clean) // 60)
    prepared = tokenizer.prepare(text)
    assert tokenizer.decode(prepared.ids) == clean
    assert prepared.detail == f"{lines} gaps, {lines - 1} carriage returns removed"
