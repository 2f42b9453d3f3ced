"""Supports: stratified, apart from their queries, and the same whatever else is asked."""

import numpy as np
import pytest

from bio_xlstm.tasks.fewshot.assay import Assay
from bio_xlstm.tasks.fewshot.draws import FEWEST_QUERIES, Draws, draw


def assay(values: list[float], relations: list[int] | None = None, test: int = 0) -> Assay:
    """Make an assay whose last `test` molecules are the queries, where it is divided at all."""
    count = len(values)
    pool = np.arange(count) < count - test
    asked = ~pool if test else np.ones(count, bool)
    bounds = np.array(relations or [0] * count, np.int8)
    return Assay("A", np.arange(count), np.array(values, float), bounds, pool, asked, np.zeros(count, bool))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("size", [16, 32])
def test_supports_are_stratified_and_apart_from_queries(share: float, size: int) -> None:
    values = (np.arange(100) < 100 * share).astype(float)
    found = draw(assay(values.tolist()), size, range(5), numeric=False)
    assert isinstance(found, Draws)
    assert (values[found.support].sum(1) == max(round(size * share), 1)).all()
    for support, queries in zip(*found, strict=True):
        assert sorted([*support, *queries]) == list(range(100))
    assert len({tuple(sorted(support)) for support in found.support.tolist()}) == 5
    # positives are not always the first to be read
    assert not all(values[support][0] for support in found.support)


def test_a_seed_draws_the_same_whatever_other_seeds_do() -> None:
    one = assay([0, 1] * 30)
    whole, part = draw(one, 16, range(4), numeric=False), draw(one, 16, range(2, 3), numeric=False)
    assert isinstance(whole, Draws)
    assert isinstance(part, Draws)
    assert (whole.support[2] == part.support[0]).all()


def test_assays_that_are_too_small_or_too_one_sided_are_left_out() -> None:
    just = 16 + FEWEST_QUERIES
    assert isinstance(draw(assay([0, 1] * (just // 2)), 16, range(2), numeric=False), Draws)
    assert draw(assay([0, 1] * (just // 2 - 1)), 16, range(2), numeric=False) == "6 queries are fewer than 8"
    assert draw(assay([0.0] * 10), 16, range(2), numeric=False) == "10 molecules are fewer than 16"
    rare = [1.0] + [0.0] * 99
    assert draw(assay(rare), 16, range(2), numeric=False) == "the queries are all of one class"
    assert "one class is too rare" in str(draw(assay([0.0] * 99), 16, range(2), numeric=False))
    assert draw(assay([3.0] * 99), 16, range(2), numeric=True) == "the queries all have one value"


def test_bounded_numbers_are_examples_but_no_queries() -> None:
    values = list(range(30))
    assert isinstance(draw(assay(values), 16, range(2), numeric=True), Draws)
    reason = draw(assay(values, relations=[1] * 25 + [0] * 5), 16, range(2), numeric=True)
    assert str(reason).endswith("queries are fewer than 8")


def test_given_parts_are_kept() -> None:
    found = draw(assay([0, 1] * 30, test=20), 16, range(3), numeric=False)
    assert isinstance(found, Draws)
    assert (found.queries == np.arange(40, 60)).all()
    assert found.support.max() < 40
