"""What is asked of molecules holds for every one that is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import QED, Crippen, Descriptors

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.generate.acceptance import Acceptance
from bio_xlstm.tasks.generate.candidate import Candidate
from bio_xlstm.tasks.generate.known import known_keys
from bio_xlstm.tasks.generate.molecule import substructure
from bio_xlstm.tasks.generate.scaffolds import branched, read_scaffold, spell, spellings
from bio_xlstm.tasks.generate.words import Range, parse_range
from bio_xlstm.tokenizers import TOKENIZERS

from .conftest import rows_of

Generate = Callable[..., Any]


def test_demands_hold_for_every_molecule(generate: Generate) -> None:
    windows = {"weight": Range(150, 420), "logp": Range(0, 4), "qed": Range(0.4, 1)}
    outcome = generate(count=8, windows=windows, unique=True, filter_smarts=("[N+](=O)[O-]", "[#17]"))
    rows = rows_of()
    assert len(rows) == 8 == len({row["canonical"] for row in rows})
    for row in rows:
        molecule = Chem.MolFromSmiles(row["sequence"])
        assert Chem.MolToSmiles(molecule) == row["canonical"] and row["valid"] == row["unique"] == "true"
        assert "Cl" not in row["sequence"] and "[N+](=O)[O-]" not in row["sequence"]
        assert 150 <= Descriptors.MolWt(molecule) <= 420 and QED.qed(molecule) >= 0.4
        assert float(row["logp"]) == pytest.approx(Crippen.MolLogP(molecule), abs=1e-4)
    assert (
        "8 molecules of " in outcome.lines[1] and " not valid" in outcome.lines[1] and outcome.shortage == ""
    )


def test_what_is_excluded_is_not_written(generate: Generate) -> None:
    generate(count=6, valid_only=True, temperature=0.6)
    first = rows_of()
    # spelled in another way
    texts = [Chem.MolToSmiles(Chem.MolFromSmiles(row["sequence"]), canonical=False) for row in first]
    Path("known.smi").write_text("\n".join([*texts, "no molecule"]))
    generate(count=6, temperature=0.6, exclude=("known.smi",))
    rows = rows_of()
    assert {row["novel"] for row in rows} == {"true"}
    assert not {row["canonical"] for row in first} & {row["canonical"] for row in rows if row["canonical"]}


def test_what_is_known_does_not_depend_on_who_reads_it(tmp_path: Path) -> None:
    path, letters = tmp_path / "known.smi", tmp_path / "known.faa"
    path.write_text("OCC\nC(C)O\nno molecule\nc1ccccc1\n")
    letters.write_text(">a\nmkt-ay\n>b\nMKTAY*\n>c\nGG\n")
    alone = known_keys([str(path), str(path)], "smiles", workers=0)
    assert alone == {"CCO", "c1ccccc1"} == known_keys([str(path)], "smiles", workers=2)
    assert known_keys([str(letters)], "protein", workers=2) == {"MKTAY", "GG"}


def test_an_impossible_window_stops_and_loses_nothing(generate: Generate) -> None:
    outcome = generate(count=3, windows={"weight": Range(5000, float("inf"))}, max_tries=40)
    assert outcome.rows == 0 and rows_of() == []
    assert outcome.shortage.startswith("0 of 3 molecules: 0 % of 40 tries were accepted (")
    assert "weight outside 5000:" in outcome.shortage and "--max-tries allows more" in outcome.shortage
    # what little there was is written
    outcome = generate(count=40, valid_only=True, max_tries=40)
    assert 0 < outcome.rows == len(rows_of()) < 40
    assert outcome.shortage.startswith(f"{outcome.rows} of 40 molecules: ")
    with pytest.raises(ConfigError, match="--qed 0.9:0.1: nothing is at least 0.9 and at most 0.1"):
        generate(windows={"qed": Range(0.9, 0.1)})


def test_candidates_are_taken_in_order() -> None:
    def tried(index: int, key: str, reason: str = "") -> Candidate:
        return Candidate(index, key, 1, 2, -1.0, True, True, key, reason)

    acceptance = Acceptance(3, unique=True, excluded={"B"})
    acceptance.add([tried(0, "A"), tried(1, "A"), tried(2, "B"), tried(3, "C", "bad")])
    acceptance.add([tried(4, "D"), tried(5, "E"), tried(6, "F")])
    assert [row.candidate.number for row in acceptance.taken] == [0, 4, 5] and acceptance.full
    assert acceptance.counts() == {
        "rows": 3, "tried": 6, "wanted": 3,
        "refused: bad": 1, "refused: drawn before": 1, "refused: excluded": 1,
    }  # fmt: skip
    kept = Acceptance(2, unique=False, excluded=None)
    kept.add([tried(0, "A"), tried(1, "A")])
    assert [(row.unique, row.novel) for row in kept.taken] == [(True, None), (False, None)]


@pytest.mark.parametrize(
    "smiles", ["c1ccc2[nH]ccc2c1", "C1CCNCC1", "O=C(N)c1ccncc1", "C[C@H](N)C(=O)O", "CC(C)(C)O"]
)
def test_a_spelling_goes_on_at_its_attachment_point(smiles: str) -> None:
    molecule, points = read_scaffold(smiles)
    rng = np.random.default_rng(0)
    for point in points:
        text = spell(molecule, point, rng)
        whole = Chem.MolFromSmiles(text + "Br")
        assert whole is not None, text
        assert whole.HasSubstructMatch(molecule)
        # with the new atom taken away, it is the scaffold again
        (bromine,) = (atom for atom in whole.GetAtoms() if atom.GetSymbol() == "Br")
        marked = Chem.RWMol(molecule)
        new = marked.AddAtom(Chem.Atom("Br"))
        atom = marked.GetAtomWithIdx(point)
        if atom.GetNumExplicitHs():
            atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)
        marked.AddBond(point, new, Chem.BondType.SINGLE)
        Chem.SanitizeMol(marked)
        flat = {Chem.MolToSmiles(one, isomericSmiles=False) for one in (whole, marked)}
        assert len(flat) == 1 and bromine.GetDegree() == 1


def test_dummy_atoms_are_where_something_is_attached() -> None:
    molecule, points = read_scaffold("*c1ccncc1")
    assert Chem.MolToSmiles(molecule) == "c1ccncc1" and len(points) == 1
    tokenizer = TOKENIZERS["smiles"]()
    for ids in spellings(molecule, points, tokenizer, seed=1):
        found = Chem.MolFromSmiles(tokenizer.decode(ids) + "Br")
        assert Chem.MolToSmiles(found) == "Brc1ccncc1"
    molecule, points = read_scaffold("*n1cccc1")
    assert Chem.MolToSmiles(molecule) == "c1cc[nH]c1" and len(points) == 1
    assert branched("CC") == "(CC)" and branched("(C)O") == "(C)(O)" and branched("(C)") == "(C)"


def test_every_molecule_keeps_the_scaffold(generate: Generate) -> None:
    generate(count=6, scaffold="c1ccc2[nH]ccc2c1", model=None)
    scaffold = Chem.MolFromSmiles("c1ccc2[nH]ccc2c1")
    flat = Chem.MolFromSmarts("c1ccc2nccc2c1")
    rows = rows_of()
    assert len(rows) == 6
    for row in rows:
        molecule = Chem.MolFromSmiles(row["sequence"])
        assert molecule.HasSubstructMatch(flat), row["sequence"]
    assert any(Chem.MolFromSmiles(row["sequence"]).GetNumAtoms() > scaffold.GetNumAtoms() for row in rows)


@pytest.mark.parametrize(
    ("scaffold", "message"),
    [
        ("c1cc", "--scaffold 'c1cc' is no molecule: unclosed ring"),
        (" ", "--scaffold ' ' is no molecule: it is empty"),
        ("FC(F)(F)F", "--scaffold FC(F)(F)F: no atom has a hydrogen that something could replace"),
    ],
)
def test_a_scaffold_that_is_none_is_refused(generate: Generate, scaffold: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        generate(scaffold=scaffold)
    assert message in str(error.value)


def test_patterns_and_ranges_that_are_none_are_refused(generate: Generate) -> None:
    with pytest.raises(ConfigError, match=r"--filter-smarts 'C\(' is no SMARTS pattern that RDKit can read"):
        generate(filter_smarts=("C(",))
    with pytest.raises(ConfigError, match="is no SMARTS pattern"):
        substructure(" ", "--filter-smarts")
    for text in ("5", ":", "a:b", "1:2:3", ""):
        with pytest.raises(ConfigError, match="is no range; ranges are LOW:HIGH, LOW: or :HIGH"):
            parse_range(text)
    assert parse_range(" -1.5:2e2 ") == Range(-1.5, 200.0) and str(parse_range(":3")) == ":3"


def test_molecules_are_not_asked_of_other_models(generate: Generate) -> None:
    with pytest.raises(ConfigError, match="are for molecules; protein-small writes proteins"):
        generate(model="protein-small", windows={"qed": Range(0.1, 1)})
    with pytest.raises(ConfigError, match="--infill is for proteins; chem-small writes molecules"):
        generate(infill=("1-2",), protein="MKT")
