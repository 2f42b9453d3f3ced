"""Distances of samples and of counts are what one works out by hand."""

from math import log2, sqrt

import numpy as np
import pytest

from bio_xlstm.tasks.evaluate.distances import (
    cosine,
    deviation,
    jensen_shannon,
    kolmogorov_smirnov,
    mean,
    median,
    share_interval,
    wasserstein,
)

NONE = np.zeros(0)


def test_wasserstein_moves_every_value() -> None:
    assert wasserstein(np.array([0, 1]), np.array([2, 5])) == 3
    # half of the weight moves from 0 to 1
    assert wasserstein(np.array([0, 0]), np.array([0, 1, 1, 0])) == 0.5
    assert wasserstein(np.array([1, np.nan]), np.array([3.0])) == 2
    assert wasserstein(np.array([4, 2]), np.array([2, 4])) == 0
    assert np.isnan(wasserstein(NONE, np.array([1]))) and np.isnan(
        wasserstein(np.array([np.nan]), np.ones(2))
    )


def test_kolmogorov_smirnov_is_the_largest_gap() -> None:
    # up to 2 lie three of four, and one of four
    assert kolmogorov_smirnov(np.array([1, 1, 2, 3]), np.array([2, 3, 4, 5])) == 0.5
    assert kolmogorov_smirnov(np.array([1, 2]), np.array([3, 4])) == 1
    assert kolmogorov_smirnov(np.array([1, 2]), np.array([2, 1])) == 0
    assert np.isnan(kolmogorov_smirnov(NONE, NONE))


def test_samples_agree_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    spatial = pytest.importorskip("scipy.spatial.distance")
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, 37).astype(float), rng.normal(3, 2, 51)
    assert wasserstein(one, other) == pytest.approx(stats.wasserstein_distance(one, other))
    assert kolmogorov_smirnov(one, other) == pytest.approx(stats.ks_2samp(one, other).statistic)
    counts = rng.integers(0, 5, (2, 20))
    assert jensen_shannon(*counts) == pytest.approx(spatial.jensenshannon(*counts, base=2))


def test_jensen_shannon_by_hand() -> None:
    assert jensen_shannon(np.array([2, 0]), np.array([0, 5])) == 1
    assert jensen_shannon(np.array([2, 4]), np.array([1, 2])) == 0
    # (1, 0) and (1/2, 1/2): the middle is (3/4, 1/4)
    wanted = sqrt((log2(4 / 3) + log2(2 / 3) / 2 + log2(2) / 2) / 2)
    assert jensen_shannon(np.array([1, 0]), np.array([1, 1])) == pytest.approx(wanted)
    assert np.isnan(jensen_shannon(np.zeros(2), np.ones(2)))


def test_cosine_of_counts() -> None:
    assert cosine({"a": 1, "b": 2}, {"b": 3, "c": 4}) == pytest.approx(6 / (sqrt(5) * 5))
    assert cosine({"a": 1}, {"a": 7}) == 1 and cosine({"a": 1}, {"b": 1}) == 0
    assert np.isnan(cosine({}, {"a": 1}))


def test_shares_have_intervals() -> None:
    low, high = share_interval(8, 10)
    # Wilson's interval as tables of it have it
    assert (low, high) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))
    assert share_interval(0, 0) == (0, 1)


def test_averages_leave_out_what_is_no_number() -> None:
    values = np.array([1, np.nan, 5, 3, np.inf])
    assert (mean(values), median(values), deviation(values)) == (3, 3, pytest.approx(sqrt(8 / 3)))
    assert all(np.isnan(of(np.array([np.nan]))) for of in (mean, median, deviation))
