"""Similarity to the nearest training sequence, block by block, as pair by pair."""

import numpy as np
import pytest

from bio_xlstm.tasks.assay import similarity
from bio_xlstm.tasks.assay.domain import Domain
from bio_xlstm.tasks.assay.fingerprint import BITS, fingerprints, reverse_complement
from tests.tasks.assay.conftest import MOLECULES, bases, proteins


def test_tanimoto_agrees_with_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    monkeypatch.setattr(similarity, "TILE", 7)
    monkeypatch.setattr(similarity, "ROWS", 3)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    bits = [generator.GetFingerprint(Chem.MolFromSmiles(one)) for one in MOLECULES]
    found, which = Domain.of(MOLECULES[:19], "smiles").nearest(MOLECULES)
    expected = np.array([DataStructs.BulkTanimotoSimilarity(one, bits[:19]) for one in bits])
    np.testing.assert_allclose(found, expected.max(1), rtol=1e-6)
    assert which.tolist() == expected.argmax(1).tolist()


@pytest.mark.parametrize(("kind", "texts"), [("protein", proteins(20)), ("dna", bases(20))])
def test_a_sequence_is_nearest_to_itself_and_far_from_others(kind: str, texts: list[str]) -> None:
    domain = Domain.of(texts[:10], kind)
    found, which = domain.nearest(texts)
    assert (found[:10] == 1).all() and which[:10].tolist() == list(range(10))
    assert (found[10:] < 0.2).all()


def test_the_other_strand_is_the_same_sequence() -> None:
    found, which = Domain.of(bases(5), "dna").nearest([reverse_complement(text) for text in bases(5)])
    assert (found == 1).all() and which.tolist() == [0, 1, 2, 3, 4]


def test_similarity_falls_with_the_number_of_changes() -> None:
    parent = proteins(1, 200)[0]
    changed = ["W" * many + parent[many:] for many in (1, 10, 50, 150)]
    found, _ = Domain.of([parent], "protein").nearest(changed)
    assert (np.diff(found) < 0).all() and found[0] > 0.95


def test_short_peptides_are_alike_only_when_equal() -> None:
    found, _ = Domain.of(["AC", "D"], "protein").nearest(["AC", "D", "CA", "ACDE"])
    assert found[:2].tolist() == [1, 1] and (found[2:] < 1).all()


def test_long_sequences_do_not_fill_all_bits() -> None:
    prints = fingerprints(bases(2, 30_000), "dna")
    assert similarity.nearest(prints[:1], prints[1:])[0][0] < 0.3
    assert similarity.unpacked(prints).mean() < 0.3


def test_what_cannot_be_read_has_no_similarity() -> None:
    found, which = Domain.of(MOLECULES, "smiles").nearest(["C1CC", "", "CCO"])
    assert np.isnan(found[:2]).all() and found[2] == 1 and which.tolist() == [-1, -1, 0]


def test_streams_give_the_same_and_arrays_come_back() -> None:
    domain = Domain.of(MOLECULES[:20], "smiles")
    found, which = domain.nearest(MOLECULES)
    assert list(domain.stream(iter(MOLECULES), block=7)) == list(
        zip(found.tolist(), which.tolist(), strict=True)
    )
    again = Domain.from_arrays(domain.to_arrays())
    assert (again.prints == domain.prints).all() and (again.kind, again.threshold) == (
        "smiles",
        domain.threshold,
    )
    assert 0 < domain.threshold < 1 and Domain.of(["CCO"], "smiles").threshold == 0


def test_linked_groups_are_chains_of_similar_pairs() -> None:
    prints = fingerprints(MOLECULES, "smiles")
    for threshold, groups in similarity.linked(prints, (0.3, 0.5)).items():
        for one, print_ in enumerate(prints):
            near = np.array([similarity.nearest(print_[None], other[None])[0][0] for other in prints])
            assert (groups[near >= threshold] == groups[one]).all()
        # a group of two or more has a similar pair for each of its members
        for one in range(len(prints)):
            others = np.flatnonzero((groups == groups[one]) & (np.arange(len(prints)) != one))
            if len(others):
                assert similarity.nearest(prints[one : one + 1], prints[others])[0][0] >= threshold
