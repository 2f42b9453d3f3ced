"""Numbers drawn by counting: uniform, independent, and functions of their keys alone."""

import numpy as np
import pytest

from bio_xlstm.tasks.pretrain.luck import base_key, chance, digest, mixed, uniform


def test_numbers_of_consecutive_keys_are_uniform_and_independent() -> None:
    keys = np.arange(100_000)
    for drawn in (uniform(keys), uniform(keys, 7), uniform(mixed(keys), 1), uniform(keys, base_key(3, 4))):
        assert drawn.min() >= 0 and drawn.max() < 1
        counts = np.histogram(drawn, 20, (0, 1))[0]
        assert ((counts - 5000) ** 2 / 5000).sum() < 45
        assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.02


def test_salts_and_seeds_give_unrelated_numbers() -> None:
    keys = np.arange(50_000)
    drawn = [uniform(keys, salt) for salt in (0, 1, 2)] + [
        uniform(keys, base_key(*s)) for s in ((0, 1), (1, 0))
    ]
    for a, b in ((0, 1), (1, 2), (0, 3), (3, 4)):
        assert abs(np.corrcoef(drawn[a], drawn[b])[0, 1]) < 0.02


def test_a_number_depends_on_its_key_alone() -> None:
    keys = np.array([5, 9, 5, 2**63], np.uint64)
    assert uniform(keys)[0] == uniform(keys)[2] == uniform(np.array([5]))[0]
    assert (
        mixed(keys, np.array([1, 2, 1, 3])) == [mixed(keys[[n]], s)[0] for n, s in enumerate((1, 2, 1, 3))]
    ).all()


def test_hashes_of_sequences_are_shares() -> None:
    drawn = [chance(bytes([n, n + 1]), 0) for n in range(200)]
    assert all(0 <= value < 1 for value in drawn) and 0.4 < np.mean(drawn) < 0.6
    assert chance(b"ACGT", 0) != chance(b"ACGT", 1) and chance(b"ACGT", 0) == digest(b"ACGT", 0) / 2**64


def test_nothing_warns_where_numbers_wrap() -> None:
    with np.errstate(all="raise"):
        assert mixed(np.array([2**64 - 1], np.uint64), 2**64 - 1).dtype == np.uint64


@pytest.mark.parametrize("count", [0, 1])
def test_few_keys_are_fine(count: int) -> None:
    assert uniform(np.zeros(count, np.uint64), np.zeros(count, np.uint64)).shape == (count,)
