"""A scaffold is kept, stereocentres included, and something is added to it."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rdkit import Chem

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.generate.kept import Kept
from bio_xlstm.tasks.generate.scaffolds import branched, opened, read_scaffold, spell, spellings, turned
from bio_xlstm.tokenizers import TOKENIZERS

from .conftest import rows_of

Generate = Callable[..., Any]
SCAFFOLDS = [
    "c1ccc2[nH]ccc2c1",
    "C1CCNCC1",
    "O=C(N)c1ccncc1",
    "CC(C)(C)O",
    "*n1cccc1",
    "*[N+](C)(C)C",
    "*[Hg]C",
    "*C([2H])(C)O",
    # stereocentres that are attachment points, that are beside one, and that are none without what is attached
    "C[C@H](N)C(=O)O",
    "*[C@](C)(F)N",
    "*[C@H](C)F",
    "*[C@@H]1CCO1",
    "*[C@@]1(C)CCN(*)C1",
    "O[C@@H]1CC[C@H](N)CC1",
    "C[C@H]1CCO[C@]2(CCNC2)C1",
    "*[S@](=O)C",
    # double bonds
    "*/C=C/F",
    "F/C=C\\*",
    "*/C=C/*",
    "F/C(C)=C(\\Cl)[C@H](C)N",
]


def grown(molecule: Any, point: int) -> str:
    """Return the canonical SMILES of a scaffold with astatine at a point."""
    text = Chem.MolToSmiles(opened(molecule, point)).replace("[*]", "*").replace("*", "[At]")
    return str(Chem.MolToSmiles(Chem.MolFromSmiles(text)))


@pytest.mark.parametrize("smiles", SCAFFOLDS)
def test_a_spelling_goes_on_at_its_attachment_point(smiles: str) -> None:
    molecule, points = read_scaffold(smiles)
    kept = Kept(molecule)
    rng = np.random.default_rng(0)
    for point in points:
        form = opened(molecule, point)
        dummy = next(atom for atom in form.GetAtoms() if not atom.GetAtomicNum())
        others = dummy.GetNeighbors()[0].GetTotalDegree() - 1
        first = Chem.MolToSmiles(form, canonical=False, rootedAtAtom=dummy.GetIdx()).replace("[*]", "*")
        last = turned(first, others)
        for text in {last, *(spell(molecule, point, rng) for _ in range(8))}:
            whole = Chem.MolFromSmiles(text + "[At]")
            assert whole is not None, text
            assert Chem.MolToSmiles(whole) == grown(molecule, point), text
            assert kept.refuse(whole) == "", text
    bare = Chem.MolFromSmiles(Chem.MolToSmiles(opened(molecule, None)))
    assert kept.refuse(bare) == "nothing added"


def test_dummy_atoms_are_where_something_is_attached() -> None:
    molecule, points = read_scaffold("*c1ccncc1")
    assert Chem.MolToSmiles(opened(molecule, None)) == "c1ccncc1" and len(points) == 1
    tokenizer = TOKENIZERS["smiles"]()
    for ids in spellings(molecule, points, tokenizer, seed=1):
        found = Chem.MolFromSmiles(tokenizer.decode(ids) + "Br")
        assert Chem.MolToSmiles(found) == "Brc1ccncc1"
    molecule, points = read_scaffold("[1*]n1ccc([*:2])c1")
    assert Chem.MolToSmiles(opened(molecule, None)) == "c1cc[nH]c1" and len(points) == 2
    assert {grown(molecule, point) for point in points} == {"[At]c1cc[nH]c1", "[At]n1cccc1"}
    assert branched("CC") == "(CC)" and branched("(C)O") == "(C)(O)" and branched("(C)") == "(C)"


@pytest.mark.parametrize(
    "smiles",
    [
        "*C(=O)c1ccc2nc(*)ccc2c1",
        "*c1ccc(CCOC(*)=O)cc1",
        # a cyclic hexapeptide with more points than chance finds
        "CC(C)CC1C(=O)NC(Cc2ccccc2)C(=O)NC(CO)C(=O)NC(CCSC)C(=O)NC(CC(N)=O)C(=O)NC(Cc2c[nH]c3ccccc23)C(=O)N1",
    ],
)
def test_attachment_points_take_turns(smiles: str) -> None:
    molecule, points = read_scaffold(smiles)
    tokenizer = TOKENIZERS["smiles"]()
    forms = Counter(grown(molecule, point) for point in points)
    for seed in range(2):
        found = spellings(molecule, points, tokenizer, seed)
        texts = [tokenizer.decode(ids) for ids in found]
        ends = Counter(Chem.MolToSmiles(Chem.MolFromSmiles(text + "[At]")) for text in texts)
        # as often as there are points that are alike, in every round
        rounds = len(texts) // len(points)
        assert ends == {form: count * rounds for form, count in forms.items()} and rounds
        first = Counter(Chem.MolToSmiles(Chem.MolFromSmiles(text + "[At]")) for text in texts[: len(points)])
        assert first == forms and len(set(texts)) >= len(points) - (forms.total() - len(forms))


@pytest.mark.parametrize(
    ("scaffold", "made", "reason"),
    [
        ("*[C@](C)(F)N", "Br[C@](C)(F)N", ""),
        ("*[C@](C)(F)N", "Br[C@@](C)(F)N", "scaffold changed"),
        ("*[C@](C)(F)N", "BrC(C)(F)N", "scaffold changed"),
        ("*C(C)(F)N", "Br[C@@](C)(F)N", ""),
        # a second methyl takes the stereocentre away
        ("C[C@H](N)C(=O)O", "CC(C)(N)C(=O)O", "scaffold changed"),
        ("C[C@H](N)C(=O)O", "C[C@@](CC)(N)C(=O)O", ""),
        ("F/C=C/*", "F/C=C\\Br", "scaffold changed"),
        ("C1CCNCC1", "O=C1CCNCC1", ""),
        ("c1ccc2[nH]ccc2c1", "c1ccc2[nH]ccc2c1", "nothing added"),
        ("c1ccc2[nH]ccc2c1", "c1ccc2[nH]ccc2c1.CO", "nothing added"),
        ("c1ccc2[nH]ccc2c1", "c1ccc2occc2c1C", "scaffold changed"),
        ("*c1ccc2[nH]ccc2c1", "Cc1cccc2[nH]ccc12", "nothing added"),
    ],
)
def test_what_is_not_the_scaffold_and_more_is_refused(scaffold: str, made: str, reason: str) -> None:
    molecule, _ = read_scaffold(scaffold)
    assert Kept(molecule).refuse(Chem.MolFromSmiles(made)) == reason


@pytest.mark.parametrize("smiles", ["*[C@](C)(F)N", "*c1ccc2[nH]ccc2c1", "C[C@H](N)C(=O)O"])
def test_every_molecule_keeps_the_scaffold(generate: Generate, smiles: str) -> None:
    generate(count=12, scaffold=smiles, model=None, unique=True)
    rows = rows_of()
    assert len(rows) == 12
    core = Chem.MolFromSmiles(Chem.MolToSmiles(opened(read_scaffold(smiles)[0], None)))
    for row in rows:
        molecule = Chem.MolFromSmiles(row["sequence"])
        assert molecule.HasSubstructMatch(core, useChirality=True), row["sequence"]
        assert molecule.GetNumAtoms() > core.GetNumAtoms()


@pytest.mark.parametrize(
    ("scaffold", "message"),
    [
        ("c1cc", "--scaffold 'c1cc' is no molecule: unclosed ring"),
        (" ", "--scaffold ' ' is no molecule: it is empty"),
        ("FC(F)(F)F", "--scaffold FC(F)(F)F: no atom has a hydrogen that something could replace"),
        ("c1ccccc1.CCO", "--scaffold c1ccccc1.CCO has 2 parts; give the one that is to be kept"),
        ("*", "--scaffold *: every * must have one single bond, to an atom that is no *"),
        ("**", "--scaffold **: every * must have one single bond"),
        ("*=C1CCNCC1", "--scaffold *=C1CCNCC1: every * must have one single bond"),
        ("*1cccc1", "--scaffold *1cccc1: every * must have one single bond"),
    ],
)
def test_a_scaffold_that_is_none_is_refused(
    generate: Generate, capfd: pytest.CaptureFixture[str], scaffold: str, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        generate(scaffold=scaffold)
    assert message in str(error.value)
    # RDKit's own words would come from beneath Python
    assert capfd.readouterr().err == ""


def test_what_a_model_has_no_letters_for_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--scaffold: this model cannot write \S+: "):
        spellings(*read_scaffold("*c1ccncc1"), TOKENIZERS["protein"](), seed=0)
