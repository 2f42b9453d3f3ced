"""What is asked of molecules holds for every one that is written."""

from collections.abc import Callable
from typing import Any

import pytest
from rdkit import Chem
from rdkit.Chem import QED, Crippen, Descriptors

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.generate.acceptance import Acceptance
from bio_xlstm.tasks.generate.candidate import Candidate
from bio_xlstm.tasks.generate.molecule import substructure
from bio_xlstm.tasks.generate.words import Range, parse_range

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
