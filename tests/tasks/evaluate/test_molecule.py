"""Molecules are read, told apart and described as chemists would."""

import pytest

from bio_xlstm.tasks.evaluate.alerts import CATALOGUES
from bio_xlstm.tasks.evaluate.facts import describe, read, read_flat
from bio_xlstm.tasks.evaluate.molecule import flat_forms, read_molecules
from bio_xlstm.tasks.evaluate.properties import COUNTS, PROPERTIES


def test_molecules_are_read() -> None:
    found = read_molecules(["OCC", "C1CC", "", "F[C@H](Cl)c1ccccc1"])
    assert found[1] is None and found[2] is None
    assert found[0] == ("CCO", "CCO", "")
    assert found[3].scaffold == "c1ccccc1" and "@" in found[3].canonical and "@" not in found[3].flat
    assert flat_forms(["F[C@H](Cl)Br", "F[C@@H](Cl)Br", "C1CC"]) == {"FC(Cl)Br"}


def test_what_is_no_molecule_has_a_reason() -> None:
    assert read("OCC") == ("CCO", "")
    assert read("C1CC") == ("", "unclosed ring")
    assert read("") == ("", "it holds no atom")
    assert (read_flat("F[C@H](Cl)Br"), read_flat("C1CC")) == ("FC(Cl)Br", "")


def test_aspirin_is_described() -> None:
    aspirin = describe("CC(=O)Oc1ccccc1C(=O)O")
    measured = dict(zip(PROPERTIES, aspirin.properties, strict=True))
    assert aspirin.inchikey == "BSYNRYMUTXBXSQ-UHFFFAOYSA-N" and aspirin.scaffold == "c1ccccc1"
    assert measured["weight"] == pytest.approx(180.16, abs=0.01)
    assert measured["tpsa"] == pytest.approx(63.6, abs=0.01)
    # published with the measure: 0.550; easy to make
    assert measured["qed"] == pytest.approx(0.550, abs=0.001) and measured["sa_score"] < 2
    counted = [int(measured[name]) for name in PROPERTIES if name in COUNTS]
    # rings, aromatic ones, rotatable bonds, donors, acceptors, heavy atoms
    assert counted == [1, 1, 2, 1, 3, 13]
    assert measured["fraction_sp3"] == pytest.approx(1 / 9)


def test_fragments_are_cut_at_brics_bonds() -> None:
    # an ester between an acyl group, an oxygen and an aromatic ring: two bonds
    assert sorted(describe("CC(=O)Oc1ccccc1").fragments) == ["[1*]C(C)=O", "[16*]c1ccccc1", "[3*]O[3*]"]
    assert describe("C").fragments == ("C",)


def test_alerts_are_named() -> None:
    alerts = dict(zip(CATALOGUES, describe("O=C1C=CC(=O)C=C1").alerts, strict=True))
    assert alerts["PAINS"].startswith("quinone") and alerts["BRENK"]
    assert describe("CCO").alerts == ("", "")


@pytest.mark.parametrize("smiles", ["[Na+].[Cl-]", "[H][H]", "C", "*", "[2H]O[2H]", "C" * 2000])
def test_odd_molecules_are_described(smiles: str) -> None:
    found = describe(smiles)
    assert len(found.properties) == len(PROPERTIES) and found.canonical
