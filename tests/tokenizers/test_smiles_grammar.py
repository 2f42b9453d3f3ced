from itertools import product
from string import ascii_lowercase, ascii_uppercase

import pytest
from rdkit import Chem, RDLogger

from bio_xlstm.tokenizers import smiles_grammar as grammar


@pytest.fixture(autouse=True)
def quiet_rdkit() -> None:
    RDLogger.DisableLog("rdApp.*")


def rdkit_reads(smiles: str) -> bool:
    return Chem.MolFromSmiles(smiles, sanitize=False) is not None


def test_every_element_is_there_once_in_order() -> None:
    table = Chem.GetPeriodicTable()
    assert [table.GetElementSymbol(number) for number in range(1, 119)] == list(grammar.ELEMENTS)


def test_every_symbol_is_there_once() -> None:
    assert len(set(grammar.SYMBOLS)) == len(grammar.SYMBOLS)
    assert set(grammar.SYMBOLS) >= {*grammar.OUTSIDE, *grammar.ATOMS, *grammar.CHIRALITY, "[", "]", "+"}


def test_every_bracket_atom_that_rdkit_reads_is_an_atom() -> None:
    capital, small = ascii_uppercase, ascii_lowercase
    names = [*capital, *small, "*", *map("".join, product(capital + small, small))]
    names += map("".join, product("HU", small, small))
    read = {name for name in names if rdkit_reads(f"[{name}]")}
    assert read == set(grammar.ATOMS)
    assert {name for name in names if grammar.BRACKET.fullmatch(f"[{name}]")} == read


def test_every_atom_outside_brackets_that_rdkit_reads_is_organic() -> None:
    single = {c for c in map(chr, range(33, 127)) if rdkit_reads(c)}
    assert single | {"Cl", "Br"} == {*grammar.ORGANIC, "*"}


@pytest.mark.parametrize(
    ("atom", "tokens"),
    [
        ("[Sc]", "Sc"),
        ("[se]", "se"),
        ("[sH]", "s H"),
        ("[SeH]", "Se H"),
        ("[SH]", "S H"),
        ("[nH]", "n H"),
        ("[Nh]", "Nh"),
        ("[Cn]", "Cn"),
        ("[Co]", "Co"),
        ("[cH-]", "c H -"),
        ("[H]", "H"),
        ("[HH]", "H H"),
        ("[Hg]", "Hg"),
        ("[HoH]", "Ho H"),
        ("[H+]", "H +"),
        ("[2H]", "2 H"),
        ("[OsH]", "Os H"),
        ("[OH2]", "O H 2"),
        ("[PH4+]", "P H 4 +"),
        ("[C@@H]", "C @@ H"),
        ("[C@OH12]", "C @OH 1 2"),
        ("[13C@TH1H3+2:14]", "1 3 C @TH 1 H 3 + 2 : 1 4"),
        ("[Co@OH30--]", "Co @OH 3 0 - -"),
        ("[#6H]", "# 6 H"),
        ("[1*:2]", "1 * : 2"),
        ("[Uuo]", "Uuo"),
        ("[UH2]", "U H 2"),
    ],
)
def test_bracket_atoms_are_split_by_what_they_mean(atom: str, tokens: str) -> None:
    assert grammar.BRACKET.fullmatch(atom)
    assert grammar.BRACKET_TOKEN.findall(atom) == ["[", *tokens.split(), "]"]


@pytest.mark.parametrize(
    "atom", ["[]", "[Xx]", "[C", "[12]", "[scH]", "[CHo]", "[C H]", "[CC]", "[#]", "[H#6]"]
)
def test_what_is_no_atom_does_not_match(atom: str) -> None:
    assert not grammar.BRACKET.fullmatch(atom)
