"""Similarities of all pairs are those of RDKit, pair by pair."""

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from bio_xlstm.tasks.evaluate.fingerprints import (
    circles,
    fingerprints,
    internal_diversity,
    nearest_similarities,
)

SMILES = ["CCO", "CCN", "c1ccccc1", "CC(=O)O", "c1ccncc1O"]


def tanimoto(smiles: list[str], others: list[str]) -> np.ndarray:
    """Compare pair by pair with RDKit."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    one, other = ([generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in of] for of in (smiles, others))
    return np.array([DataStructs.BulkTanimotoSimilarity(a, other) for a in one])


def test_internal_diversity_is_that_of_all_pairs() -> None:
    prints = fingerprints(SMILES)
    pairs = [
        float((a & b).sum() / (a | b).sum())
        for n, a in enumerate(prints)
        for m, b in enumerate(prints)
        if n != m
    ]
    assert internal_diversity(prints, rows=2) == pytest.approx(1 - np.mean(pairs), abs=1e-6)
    wanted = 1 - np.mean(np.square(pairs)) ** 0.5
    assert internal_diversity(prints, rows=3, power=2) == pytest.approx(wanted, abs=1e-6)
    assert np.isnan(internal_diversity(prints[:1])) and np.isnan(internal_diversity(prints[:0]))
    # copies are not diverse; molecules without a bit are alike
    assert internal_diversity(np.ones((4, 8))) == internal_diversity(np.zeros((3, 8))) == 0
    assert fingerprints(["CCCCCC"], counts=True).max() > 1


def test_the_nearest_is_that_of_rdkit() -> None:
    others = ["CCOC", "Nc1ccccc1", "CC(C)=O"]
    found = nearest_similarities(fingerprints(SMILES), fingerprints(others), rows=2)
    np.testing.assert_allclose(found, tanimoto(SMILES, others).max(1), rtol=1e-6)
    assert nearest_similarities(fingerprints([]), fingerprints(others)).shape == (0,)
    by_hand = nearest_similarities(np.array([[1, 1, 0, 0]]), np.array([[1, 0, 1, 0], [1, 1, 1, 1]]))
    assert by_hand == pytest.approx([2 / 4])


def test_circles_are_chosen_in_order() -> None:
    # a copy, and a molecule as near as its likeness to the first allows, open no circle
    similarity = float(tanimoto(["CCO"], ["CCN"])[0, 0])
    assert circles(["CCO", "OCC", "CCN"], 1 - similarity + 0.01) == 1
    assert circles(["CCO", "OCC", "CCN"], 1 - similarity - 0.01) == 2
    assert circles([], 0.7) == 0
