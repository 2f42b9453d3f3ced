from typing import Any

import pytest

from bio_xlstm.errors import ModelError
from bio_xlstm.tokenizers.alphabet import LINE_FEED, PROBLEM, Alphabet, letters
from bio_xlstm.tokenizers.vocabulary import Vocabulary

ALPHABET = Alphabet((("U", "T"), ("T", "U")), replaced="RY", replacement="N", gaps="-.", trailing_stop="*")
VOCABULARY = Vocabulary(("<start>", "A", "T", "N", "-"))


def test_letters_are_the_single_capitals() -> None:
    assert letters(VOCABULARY) == ("A", "T", "N")


def test_every_byte_has_exactly_one_fate() -> None:
    tables = ALPHABET.tables(VOCABULARY)
    for byte in range(256):
        fates = [
            byte in tables.clean,
            byte in tables.replaced,
            byte in tables.removed,
            byte not in tables.handled,
            byte == ord("*"),
        ]
        assert sum(fates) == 1, chr(byte)
        assert (tables.strict[byte] != PROBLEM) == (byte in tables.clean and byte != LINE_FEED)
        assert (tables.lenient[byte] != PROBLEM) == (
            tables.strict[byte] != PROBLEM or byte in tables.replaced
        )


def test_an_alias_needs_a_token_to_point_at() -> None:
    tables = ALPHABET.tables(VOCABULARY)
    assert tables.strict[ord("U")] == tables.strict[ord("u")] == VOCABULARY.index["T"]
    rna = ALPHABET.tables(Vocabulary(("A", "U", "N")))
    assert rna.strict[ord("T")] == rna.strict[ord("U")] == 1
    neither = ALPHABET.tables(Vocabulary(("A", "N")))
    assert ord("T") not in neither.handled and ord("U") not in neither.handled


def test_a_letter_with_a_token_is_not_replaced() -> None:
    tables = ALPHABET.tables(Vocabulary(("A", "R", "N")))
    assert tables.strict[ord("R")] == 1
    assert set(tables.replaced.values()) == {"Y"}


def test_the_rules_survive_json() -> None:
    assert Alphabet.from_json(ALPHABET.to_json()) == ALPHABET


def test_a_replacement_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ModelError, match="field 'alphabet': replacement 'N' is not in the vocabulary"):
        ALPHABET.tables(Vocabulary(("A", "C")))


def test_too_many_symbols_are_refused() -> None:
    symbols = ("A", "N", *(f"<{number}>" for number in range(300)))
    with pytest.raises(ModelError, match="field 'vocabulary' holds 302 symbols, more than 255"):
        ALPHABET.tables(Vocabulary(symbols))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aliases": ["U", "T"]}, r"aliases must map letters to letters, not \['U', 'T'\]"),
        ({"aliases": {"U": "tt"}}, "aliases must map letters to letters, not {'U': 'tt'}"),
        ({"replaced": "Ry"}, "replaced must hold capital letters, not 'Ry'"),
        ({"replaced": 5}, "replaced must be plain text, not 5"),
        ({"gaps": "–"}, "gaps must be plain text, not '–'"),
        ({"trailing_stop": "**"}, r"trailing_stop is one symbol, not '\*\*'"),
        ({"extra": ""}, "must hold exactly aliases, replaced, replacement, gaps, trailing_stop"),
    ],
)
def test_bad_rules_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"^field 'alphabet':? {message}$"):
        Alphabet.from_json({**ALPHABET.to_json(), **change})


def test_rules_that_are_no_object_are_refused() -> None:
    with pytest.raises(ModelError, match="field 'alphabet' must hold exactly aliases"):
        Alphabet.from_json("ACGT")
