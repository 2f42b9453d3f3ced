"""Sets of molecules are counted and compared as one would by hand."""

import numpy as np
import pytest

from bio_xlstm.tasks.evaluate.facts import describe
from bio_xlstm.tasks.evaluate.metric import Metric
from bio_xlstm.tasks.evaluate.molecules import (
    MoleculeSet,
    apart,
    averages,
    cleanness,
    nearest_of,
    quality,
    variety,
)

# benzene, toluene (its scaffold), pyridine, ethanol (none)
FOUR = [describe(smiles) for smiles in ("c1ccccc1", "Cc1ccccc1", "c1ccncc1", "CCO")]


def numbers(metrics: list[Metric]) -> dict[str, float | int | None]:
    return {metric.metric: metric.value for metric in metrics}


def one_set(*index: int) -> MoleculeSet:
    return MoleculeSet(FOUR, np.array(index, np.int64))


def test_validity_uniqueness_and_novelty() -> None:
    found = quality(one_set(0, 1, 0, 3), 5, {"CCO"})
    assert numbers(found) == {
        "records": 5, "validity": 4 / 5, "uniqueness": 3 / 4, "valid_unique": 3 / 5, "novelty": 2 / 3,
        "molecules": 3, "inchikeys": 3,
    }  # fmt: skip
    novelty = next(metric for metric in quality(one_set(0), 1, None) if metric.metric == "novelty")
    assert novelty.value is None and novelty.note == "no training file was given (--train)"
    nothing = quality(one_set(), 0, set())
    assert [m.note for m in nothing if m.value is None] == ["there is nothing to take a share of"] * 4


def test_tautomers_share_an_inchikey() -> None:
    pair = MoleculeSet([describe("Oc1ccccn1"), describe("O=c1cccc[nH]1")], np.array([0, 1]))
    assert (numbers(quality(pair, 2, None))["molecules"], numbers(quality(pair, 2, None))["inchikeys"]) == (
        2,
        1,
    )


def test_scaffolds_are_counted() -> None:
    some = one_set(0, 1, 1, 2, 3)
    found = numbers(variety(some, 100, 0) + averages(some))
    # benzene's thrice and pyridine's; ethanol has none
    assert found["scaffolds"] == 2 and found["scaffold_uniqueness"] == 2 / 4
    assert found["mean_rings"] == 4 / 5 and found["mean_heavy_atoms"] == (6 + 7 + 7 + 6 + 3) / 5


def test_filters_count_every_molecule() -> None:
    both = MoleculeSet([describe("O=C1C=CC(=O)C=C1"), FOUR[0]], np.array([0, 1, 1, 1]))
    found = numbers(cleanness(both))
    assert found["passes_pains"] == found["passes_brenk"] == found["passes_filters"] == 3 / 4


def test_a_set_is_not_apart_from_itself() -> None:
    found = numbers(apart(one_set(0, 1, 2, 3), one_set(3, 2, 1, 0), 100, 0))
    ones = {"nearest_similarity", "scaffold_similarity", "fragment_similarity"}
    assert all(value == pytest.approx(float(name in ones)) for name, value in found.items())


def test_distances_by_hand() -> None:
    found = numbers(apart(one_set(0, 0, 3), one_set(2), 100, 0))
    # one ring, one ring, none; against one ring
    assert found["wasserstein_rings"] == pytest.approx(1 / 3)
    assert found["scaffold_similarity"] == 0
    # the reference does not spread, so nothing can be scaled by it
    assert found["wasserstein_mean"] is None
    scaled = numbers(apart(one_set(0), one_set(0, 3), 100, 0))
    deviation = np.std([78.114, 46.069])
    assert scaled["wasserstein_weight"] / deviation == pytest.approx(1, abs=1e-3)


def test_repeats_count_in_distances() -> None:
    counts = one_set(0, 1, 2, 2).count("scaffold")
    assert counts == {"c1ccccc1": 2, "c1ccncc1": 2}
    found = numbers(apart(one_set(0, 1, 2, 2), one_set(0), 100, 0))
    assert found["scaffold_similarity"] == pytest.approx(2 / np.sqrt(8))


def test_fewer_are_compared_when_asked() -> None:
    nearest = nearest_of(one_set(0, 1, 2, 3), one_set(0, 1, 2, 3), 2, 0)
    assert np.isfinite(nearest).sum() == 2
    np.testing.assert_array_equal(nearest, nearest_of(one_set(0, 1, 2, 3), one_set(0, 1, 2, 3), 2, 0))
    assert np.isnan(nearest_of(one_set(0), one_set(), 10, 0)).all()


def test_empty_sets_are_not_measured() -> None:
    found = numbers(variety(one_set(), 100, 0) + apart(one_set(), one_set(), 100, 0))
    assert {value for value in found.values() if value is not None} == {0}
