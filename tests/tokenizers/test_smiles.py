import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, RDLogger

from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.tokenizers import smiles_grammar as grammar
from bio_xlstm.tokenizers.smiles import _REMEMBERED_PIECES, SmilesTokenizer
from bio_xlstm.tokenizers.vocabulary import Vocabulary

SMILES = SmilesTokenizer()

# what published tokenizers lose or stumble over; all are read by RDKit
MOLECULES = r"""
C CO [Co] [CH4] ClCCl BrCBr C[Sc]C Sc1ccccc1 CSc1ccccc1 Cn1cccc1 [Cn] c1cc[nH]c1 c1cc[se]c1
c1cc[te]c1 c1cc[as]c1 [H][H] [HH] [H+] [H-] [2H]C([2H])[2H] [3H]O [13CH4] [238U] [Og] [Hg+2] [HgH2]
[Ho] [Hf] [He] [Nh] [nH]1cccc1 [OH-] [OsH2] F/C=C/F F/C=C\F F\C=C\F C/C=C/C=C\C N[C@@H](C)C(=O)O
N[C@H](C)C(=O)O C[N+](=O)[O-] C[C@TH1](F)(Cl)Br C[Pt@SP1](F)(Cl)Br C[As@TB15](F)(Cl)(Br)I
C[Co@OH12](F)(Cl)(Br)(I)S [Fe+3] [Fe++] [Fe--] [Cu+1] [O--] [Na+].[Cl-] C%10CCCCC%10 C%99CC%99
C%(123)CC%(123) C1CC1C1CC1 C=1CCCCC=1 C0CC0 [CH3:1][OH:12] [*:1]C[*:2] *C* [1*]C [#6]C [13C@@H2+:5]
[NH3+]CC([O-])=O N->[Pt+2] [Pt+2]<-N C$C C~C C-C C:C c1ccccc1-c1ccccc1 C#N [C-]#[O+] [Si](C)(C)C
[SiH4] [BH4-] [Zr] [W] [Cd] [Tl] [Lr] [siH]1ccccc1 [Uuo] B1OCCO1 b1ccccc1 p1ccccc1 o1cccc1
[Cl-].[K+] S(=O)(=O)(O)O P([O-])(=O)=O
"""
HARD = MOLECULES.split()


@pytest.mark.parametrize("smiles", HARD)
def test_hard_molecules_come_back_byte_for_byte(smiles: str) -> None:
    RDLogger.DisableLog("rdApp.*")
    assert Chem.MolFromSmiles(smiles, sanitize=False) is not None
    prepared = SMILES.prepare(smiles)
    assert (prepared.status, prepared.detail) == ("ok", "")
    assert SMILES.decode(prepared.ids) == smiles
    assert SMILES.decode(SMILES.encode(smiles)) == smiles
    assert SMILES.unknown not in prepared.ids


@pytest.mark.parametrize("smiles", ["[CH3:1][OH:2].Cl>[Na+]>[CH3:1]Cl", "CC>>C", "C%01CC%01", "[Fe+++]"])
def test_what_rdkit_does_not_read_as_a_molecule_comes_back(smiles: str) -> None:
    assert SMILES.decode(SMILES.encode(smiles)) == smiles


def digits(largest: int) -> st.SearchStrategy[str]:
    return st.integers(0, largest).map(str)


def maybe(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), part)


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


CHIRAL = st.one_of(
    st.sampled_from(["@", "@@"]), joined(st.sampled_from(["@TH", "@AL", "@SP", "@TB", "@OH"]), digits(30))
)
CHARGE = st.one_of(st.sampled_from(["+", "-", "++", "--"]), joined(st.sampled_from("+-"), digits(15)))
ATOM = st.one_of(st.sampled_from(grammar.ATOMS), digits(118).map("#{}".format))
BRACKET = joined(
    st.just("["),
    maybe(digits(400)),
    ATOM,
    maybe(CHIRAL),
    maybe(joined(st.just("H"), maybe(digits(9)))),
    maybe(CHARGE),
    maybe(joined(st.just(":"), digits(99_999))),
    st.just("]"),
)
BOND = st.sampled_from(("", "", "", *grammar.BONDS))
RING = st.one_of(
    digits(9), st.integers(0, 99).map("%{:02d}".format), st.integers(0, 99_999).map("%({})".format)
)
NODE = joined(
    st.one_of(st.sampled_from((*grammar.ORGANIC, "*")), BRACKET),
    st.lists(joined(BOND, RING), max_size=2).map("".join),
)
CHAIN = st.recursive(
    NODE,
    lambda chain: st.one_of(
        joined(NODE, BOND, chain),
        joined(NODE, st.just("("), BOND, chain, st.just(")"), BOND, chain),
        joined(chain, st.just("."), chain),
    ),
    max_leaves=12,
)


@given(CHAIN)
def test_whatever_the_grammar_writes_comes_back(smiles: str) -> None:
    prepared = SMILES.prepare(smiles)
    assert (prepared.status, prepared.position) == ("ok", None)
    assert SMILES.decode(prepared.ids) == smiles
    assert SMILES.unknown not in prepared.ids.tolist()


@given(st.text(alphabet=st.one_of(st.sampled_from("CNOlBr[]()=#@+-H1%<>. \t\n\ufeff"), st.characters())))
def test_any_text_is_prepared_with_a_reason(text: str) -> None:
    prepared = SMILES.prepare(text)
    assert prepared.status in {"ok", "cleaned", "empty", "unknown_token"}
    assert (len(prepared.ids) > 0) == (prepared.status in {"ok", "cleaned"})
    assert (prepared.detail == "") == (prepared.status == "ok")
    assert (prepared.position is not None) == (prepared.status == "unknown_token")
    if prepared.status == "ok":
        assert SMILES.decode(prepared.ids) == text.strip(" \t\r\n\v\f")


@given(st.text(alphabet=st.one_of(st.sampled_from("CNO[]é\ufeff"), st.characters(codec="utf-8"))))
def test_bytes_are_prepared_as_their_text(text: str) -> None:
    of_text, of_bytes = SMILES.prepare(text), SMILES.prepare(text.encode())
    assert (of_text.status, of_text.detail) == (of_bytes.status, of_bytes.detail)
    assert of_text.ids.tolist() == of_bytes.ids.tolist()
    if of_text.position is not None:
        assert text.encode()[: of_bytes.position].decode() == text[: of_text.position]


def tokens(smiles: str) -> list[str]:
    return [SMILES.vocabulary.symbols[i] for i in SMILES.encode(smiles)]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CSc1cc1", "C S c 1 c c 1"),
        ("[Sc]", "[ Sc ]"),
        ("ClC[Cl-]", "Cl C [ Cl - ]"),
        ("BrB", "Br B"),
        ("C%12CC%12", "C %12 C C %12"),
        ("C%(12)", "C % ( 1 2 )"),
        ("C%05", "C % 0 5"),
        ("N->[Fe]<-N", "N -> [ Fe ] <- N"),
        ("C-C=C>>C", "C - C = C > > C"),
    ],
)
def test_context_decides_what_a_letter_means(smiles: str, expected: str) -> None:
    assert tokens(smiles) == expected.split()


def test_specials_stand_first_and_only_the_end_is_a_target() -> None:
    assert SMILES.vocabulary.symbols[:4] == ("[BEG]", "[END]", "[MASK]", "[UNK]")
    assert (SMILES.start, SMILES.stop, SMILES.mask, SMILES.unknown) == (0, 1, 2, 3)
    assert SMILES.targets.tolist() == [False, True, False, False] + [True] * len(grammar.SYMBOLS)


@pytest.mark.parametrize(
    ("text", "detail", "offset"),
    [
        ("CCX", "'X' at position 3 is not a SMILES token", 2),
        ("C C", "' ' at position 2 is not a SMILES token", 1),
        ("C\nC", r"'\n' at position 2 is not a SMILES token", 1),
        ("CH4", "'H' at position 2 is not a SMILES token", 1),
        ("C@C", "'@' at position 2 is not a SMILES token", 1),
        ("C+", "'+' at position 2 is not a SMILES token", 1),
        ("C<C", "'<' at position 2 is not a SMILES token", 1),
        ("Cé", "'é' at position 2 is not a SMILES token", 1),
        ("C\x80", r"'\x80' at position 2 is not a SMILES token", 1),
        ("C]", "']' at position 2 is not a SMILES token", 1),
        ("Na", "'a' at position 2 is not a SMILES token", 1),
        ("C[Xx]C", "'[Xx]' at position 2 is not a SMILES atom", 1),
        ("C[Hé]", "'[Hé]' at position 2 is not a SMILES atom", 1),
        ("C[]", "'[]' at position 2 is not a SMILES atom", 1),
        ("CC[C", "'[' at position 3 is not closed", 2),
        ("C[C[N]", "'[' at position 2 is not closed", 1),
        ("[" + "q" * 99 + "]", f"'[{'q' * 19}...' at position 1 is not a SMILES atom", 0),
        ("  CQ", "'Q' at position 2 is not a SMILES token", 3),
        ("\ufeffC\ufeffQ", "'Q' at position 2 is not a SMILES token", 3),
    ],
)
def test_what_no_grammar_allows_is_named(text: str, detail: str, offset: int) -> None:
    prepared = SMILES.prepare(text)
    assert (prepared.status, prepared.detail, prepared.position) == ("unknown_token", detail, offset)
    assert len(prepared.ids) == 0


def test_encode_refuses_what_prepare_reports() -> None:
    with pytest.raises(SequenceError, match=r"^'\[Xx\]' at position 2 is not a SMILES atom$"):
        SMILES.encode("C[Xx]")
    with pytest.raises(SequenceError, match="^' ' at position 1 is not a SMILES token$"):
        SMILES.encode(" C")


@pytest.mark.parametrize("text", [" CCO", "CCO\r\n", "\tCCO \n", b"CCO\r\n"])
def test_blanks_around_a_molecule_do_not_count(text: str | bytes) -> None:
    prepared = SMILES.prepare(text)
    assert (SMILES.decode(prepared.ids), prepared.status, prepared.detail) == ("CCO", "ok", "")


@pytest.mark.parametrize(
    ("text", "decoded", "status", "detail"),
    [
        ("\ufeffCCO", "CCO", "cleaned", "1 byte order mark removed"),
        ("\ufeffC\ufeffCO ", "CCO", "cleaned", "2 byte order marks removed"),
        ("\ufeff", "", "empty", "no SMILES left after removing 1 byte order mark"),
        ("", "", "empty", "empty SMILES"),
        (" \r\n", "", "empty", "empty SMILES"),
    ],
)
def test_marks_and_empty_rows(text: str, decoded: str, status: str, detail: str) -> None:
    prepared = SMILES.prepare(text)
    assert (SMILES.decode(prepared.ids), prepared.status, prepared.detail) == (decoded, status, detail)


def test_bytes_that_are_not_utf8_are_named() -> None:
    prepared = SMILES.prepare(b"CC\xe9")
    assert (prepared.status, prepared.detail, prepared.position) == (
        "error",
        "byte 0xE9 at position 3 is not UTF-8 text",
        2,
    )
    assert prepared.ids.dtype == SMILES.dtype


@pytest.mark.parametrize(
    ("smiles", "token"), [("CBr", "Br"), ("C[Na]", "[Na]"), ("C%12", "%12"), ("CN", "N"), ("C->C", "->")]
)
def test_a_small_vocabulary_names_what_it_lacks(smiles: str, token: str) -> None:
    vocabulary = Vocabulary(("[BEG]", "[END]", "[MASK]", "[UNK]", "C", "Cl", "O", "[", "]", "H", "-"))
    small = SmilesTokenizer(vocabulary=vocabulary)
    assert small.decode(small.encode("ClC[CH]O")) == "ClC[CH]O"
    prepared = small.prepare(smiles)
    assert prepared.status == "unknown_token"
    assert prepared.detail == f"{token!r} at position 2 is not in the vocabulary of this model"


def test_another_grammar_is_refused() -> None:
    with pytest.raises(ModelError, match="^field 'grammar' is 'SELFIES', not 'OpenSMILES'$"):
        SmilesTokenizer.from_json({**SMILES.to_json(), "grammar": "SELFIES"})


def test_ever_new_atom_maps_do_not_fill_the_memory() -> None:
    tokenizer = SmilesTokenizer()
    for number in range(_REMEMBERED_PIECES + 100):
        assert tokenizer.prepare(f"[C:{number}]").status == "ok"
    assert len(tokenizer._shorthand) == _REMEMBERED_PIECES
    assert tokenizer.decode(tokenizer.encode("[N:123456]")) == "[N:123456]"
