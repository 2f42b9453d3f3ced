"""FCD is the published distance, and stands beside that of two halves of the reference."""

import numpy as np
import pytest

from bio_xlstm.tasks.evaluate import fcd as task
from bio_xlstm.tasks.evaluate.chemnet import (
    LONGEST_FOR_FCD,
    MISSING_FCD,
    Activations,
    chemnet,
    frechet_distance,
    readable,
)
from bio_xlstm.tasks.evaluate.facts import describe
from bio_xlstm.tasks.evaluate.molecules import MoleculeSet


def test_the_distance_is_frechets() -> None:
    rng = np.random.default_rng(0)
    one, other = (Activations.of(rng.normal(size=(40, 6)) * scale + 1) for scale in (1.0, 2.0))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))
    # of uncorrelated variates: means apart, and standard deviations apart
    a = Activations(np.array([1.0, 0.0]), np.diag([4.0, 9.0]), 2)
    b = Activations(np.array([0.0, 2.0]), np.diag([1.0, 16.0]), 2)
    assert frechet_distance(a, b) == pytest.approx(1 + 4 + (2 - 1) ** 2 + (3 - 4) ** 2)


def test_the_distance_of_chemnet_is_fcd() -> None:
    fcd = pytest.importorskip("fcd")
    one = ["C" * n + "O" for n in range(1, 30)]
    other = ["C" * n + "N" for n in range(1, 30)]
    found = frechet_distance(chemnet(one), chemnet([*other, "C" * 400]))
    assert found == pytest.approx(fcd.get_fcd(one, other, device="cpu"), rel=1e-3)


def test_long_molecules_are_not_read() -> None:
    assert readable("C" * LONGEST_FOR_FCD) and not readable("C" * (LONGEST_FOR_FCD + 1))


def test_sets_of_one_size_stand_beside_halves_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    near, far, real = rng.normal(size=(30, 4)), rng.normal(size=(50, 4)) + 5, rng.normal(size=(60, 4))
    total, same = task.from_activations(near, real, 0)
    assert total.metric == "fcd" and "only 30 molecules" in total.note and total.reference is None
    assert same.note == "sets of 30 molecules" and same.value < 10 * same.reference
    assert total.value == pytest.approx(frechet_distance(Activations.of(near), Activations.of(real)))
    assert task.from_activations(far, real, 0)[1].value > 50 > same.reference


@pytest.mark.parametrize(("one", "other"), [(0, 60), (1, 60), (30, 1), (0, 0)])
def test_too_few_molecules_are_said(one: int, other: int) -> None:
    found = task.from_activations(np.ones((one, 4)), np.ones((other, 4)), 0)
    assert [metric.value for metric in found] == [None, None]
    assert "it needs 2 generated molecules and 4 of the reference of up to 349 characters" in found[0].note


def test_every_molecule_counts_as_often_as_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        task, "run_chemnet", lambda smiles, device: np.array([[len(s)] for s in smiles], float)
    )
    found = MoleculeSet([describe("CCO"), describe("C" * 400), describe("C")], np.array([2, 0, 1, 0]))
    assert task.activations(found, "cpu").tolist() == [[1], [3], [3]]
    assert task.activations(found.take(np.array([2])), "cpu").shape == (0, 512)


def test_without_the_package_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "has_chemnet", lambda: False)
    nothing = MoleculeSet([], np.zeros(0, np.int64))
    found = task.fcd(nothing, nothing, 0, "cpu")
    assert {metric.note for metric in found} == {
        MISSING_FCD
    } and "pip install 'bio-xlstm[chem-eval]'" in MISSING_FCD
