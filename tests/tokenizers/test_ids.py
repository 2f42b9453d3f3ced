"""Bare token ids as text."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.tokenizers import load_tokenizer
from bio_xlstm.tokenizers.ids import IdTokenizer

IDS = IdTokenizer.of(300)


@given(st.lists(st.integers(0, 299)))
def test_ids_come_back(ids: list[int]) -> None:
    text = " ".join(map(str, ids))
    assert IDS.encode(text).tolist() == ids and IDS.decode(IDS.encode(text)) == text


@pytest.mark.parametrize(
    ("text", "detail", "position"),
    (
        ("1 2 300", "'300' at position 5 is not a token id from 0 to 299", 4),
        ("1 11 x", "'x' at position 6 is not a token id from 0 to 299", 5),
        ("-1", "'-1' at position 1 is not a token id from 0 to 299", 0),
        ("1,2", "'1,2' at position 1 is not a token id from 0 to 299", 0),
        ("1 \u0661", "'\u0661' at position 3 is not a token id from 0 to 299", 2),
        ("9" * 5000, f"'{'9' * 20}...' at position 1 is not a token id from 0 to 299", 0),
    ),
)
def test_what_is_no_id_is_named(text: str, detail: str, position: int) -> None:
    prepared = IDS.prepare(text)
    assert (prepared.status, prepared.detail, prepared.position) == ("unknown_token", detail, position)
    assert prepared.ids.dtype == IDS.dtype
    with pytest.raises(SequenceError) as caught:
        IDS.encode(text)
    assert str(caught.value) == detail


def test_blanks_of_any_kind_part_ids() -> None:
    assert IDS.prepare(b" 5\t17  3\r\n").ids.tolist() == [5, 17, 3]
    assert IDS.prepare(" \n").status == "empty" and IDS.encode("").tolist() == []
    assert IDS.prepare(b"5 \xff").status == "error"


def test_framing_is_left_out_at_the_ends_only() -> None:
    framed = IdTokenizer.of(300, start=0, stop=2)
    assert (framed.start, framed.stop, framed.mask, framed.unknown) == (0, 2, None, None)
    assert framed.decode([0, 7, 2, 0, 8, 2]) == "7 2 0 8" and framed.decode([0]) == framed.decode([]) == ""
    assert framed.targets.sum() == 299 and not framed.targets[0] and IDS.targets.all()


def test_a_tokenizer_of_ids_is_a_value_and_can_be_saved(tmp_path: Path) -> None:
    framed = IdTokenizer.of(70_000, start=0, stop=69_999)
    framed.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path / "tokenizer.json") == framed == pickle.loads(pickle.dumps(framed))
    # more ids than two bytes hold
    assert framed.encode("69999").dtype == np.uint32 and framed.encode("69999").tolist() == [69_999]


def test_other_symbols_are_refused() -> None:
    described = IDS.to_json() | {"vocabulary": ["<0>", "<2>"]}
    with pytest.raises(ModelError, match="field 'vocabulary' calls id 1 '<2>', not '<1>'"):
        IdTokenizer.from_json(described)
