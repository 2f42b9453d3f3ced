"""Molecules are read with the table that a Chem-xLSTM learned: all its symbols can write, and nothing else."""

from pathlib import Path

import pytest

from bio_xlstm.original.chem import tokenizer_of
from bio_xlstm.original.settings import Settings
from bio_xlstm.tokenizers.smiles import SmilesTokenizer

SYMBOLS = (
    *(
        "[PAD]",
        "[BEG]",
        "C",
        "c",
        "1",
        "(",
        "=",
        "O",
        ")",
        "n",
        "-",
        "2",
        ".",
        "Cl",
        "N",
        "3",
        "S",
        "/",
        "[",
        "+",
    ),
    *(
        "]",
        "P",
        "@",
        "H",
        "o",
        "F",
        "Br",
        "#",
        "Na",
        "s",
        "Si",
        "I",
        "K",
        "[END]",
        "B",
        "4",
        "Cs",
        "%10",
        "p",
    ),
)


@pytest.fixture(scope="module")
def tokenizer() -> SmilesTokenizer:
    table = {symbol: number for number, symbol in enumerate(SYMBOLS)}
    return tokenizer_of(Settings(Path("a.json"), {"token2label": table}), len(SYMBOLS) + 3)


def test_the_table_is_kept_id_by_id(tokenizer: SmilesTokenizer) -> None:
    assert tokenizer.vocabulary.symbols[: len(SYMBOLS)] == SYMBOLS
    assert tokenizer.vocabulary.symbols[len(SYMBOLS) :] == ("[unused-39]", "[unused-40]", "[unused-41]")
    assert (tokenizer.start, tokenizer.stop, tokenizer.mask, tokenizer.unknown) == (1, 33, None, None)
    assert SmilesTokenizer.from_json(tokenizer.to_json()) == tokenizer


@pytest.mark.parametrize(
    ("smiles", "tokens"),
    (
        ("C[C@@H](N)O", "C [ C @ @ H ] ( N ) O"),
        ("[Na+].[Cl-]", "[ Na + ] . [ Cl - ]"),
        ("C%10CC%10", "C %10 C C %10"),
        ("[13CH4]", None),
        ("c1cc[nH]c1", "c 1 c c [ n H ] c 1"),
        # elements that are no symbols of the table are written in letters that are, as in training
        ("[Co]", "[ C o ]"),
        ("[Sn]", "[ S n ]"),
        ("[Os+2]", "[ O s + 2 ]"),
        ("F/C=C/F", "F / C = C / F"),
    ),
)  # fmt: skip
def test_molecules_are_written_in_symbols_of_the_table(
    tokenizer: SmilesTokenizer, smiles: str, tokens: str | None
) -> None:
    prepared = tokenizer.prepare(smiles)
    if tokens is None:
        tokens = "[ 1 3 C H 4 ]"
    assert [tokenizer.vocabulary.symbols[number] for number in prepared.ids] == tokens.split()
    assert prepared.status == "ok" and tokenizer.decode(prepared.ids) == smiles


@pytest.mark.parametrize(
    ("smiles", "symbol", "position"),
    (
        ("F/C=C\\F", "'\\\\'", 5),
        ("C[Hg]", "'[Hg]'", 1),
        ("[Zr]", "'[Zr]'", 0),
        ("C$C", "'$'", 1),
        ("C%11CC%11", "'%11'", 1),
        ("C[C@TH1](F)Cl", "'[C@TH1]'", 1),
        ("C*", "'*'", 1),
    ),
)  # fmt: skip
def test_what_the_table_cannot_write_is_named(
    tokenizer: SmilesTokenizer, smiles: str, symbol: str, position: int
) -> None:
    prepared = tokenizer.prepare(smiles)
    assert prepared.status == "unknown_token" and prepared.position == position
    assert prepared.detail == f"{symbol} at position {position + 1} is not in the vocabulary of this model"
