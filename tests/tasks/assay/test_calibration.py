"""Intervals cover what they promise, and probabilities come true."""

import json

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.assay.calibration import Conformal, Isotonic, Temperature, measured_coverage
from bio_xlstm.tasks.assay.metrics.binary import ece, log_loss


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw values, predictions and the spread of the noise, which differs from row to row."""
    rng = np.random.default_rng(seed)
    predicted, spread = rng.normal(size=(rows, 1)), rng.uniform(0.2, 3, size=(rows, 1))
    return predicted + spread * rng.standard_t(3, size=(rows, 1)), predicted, spread


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_intervals_cover_what_they_promise(coverage: float, normalised: bool) -> None:
    reached = []
    for seed in range(40):
        values, predicted, spread = drawn(400, seed)
        uncertainty = spread if normalised else None
        learned = Conformal.fit(
            values[:200],
            predicted[:200],
            None if uncertainty is None else uncertainty[:200],
            coverage=coverage,
        )
        low, high = learned.intervals(predicted[200:], None if uncertainty is None else uncertainty[200:])
        reached.append(float(measured_coverage(values[200:], low, high)[0]))
    # the promise holds on average; 40 x 200 rows leave a standard error of about 0.006
    assert np.mean(reached) == pytest.approx(coverage + (1 - coverage) / 201, abs=0.02)


def test_normalised_intervals_are_shorter_where_the_model_is_sure() -> None:
    values, predicted, spread = drawn(1000, 0)
    low, high = Conformal.fit(values, predicted, spread).intervals(predicted, spread)
    sure = spread[:, 0] < 0.5
    assert (high - low)[sure].mean() < 0.3 * (high - low)[~sure].mean()
    # and each group is covered, which a fixed width cannot do
    assert measured_coverage(values[sure], low[sure], high[sure])[0] == pytest.approx(0.9, abs=0.04)


def test_the_radius_is_the_promised_rank() -> None:
    values = np.arange(1.0, 10)[:, None]
    assert Conformal.fit(values, np.zeros((9, 1)), coverage=0.9).radii.tolist() == [9]
    assert Conformal.fit(values, np.zeros((9, 1)), coverage=0.8).radii.tolist() == [8]
    # 9 rows cannot promise 95 %
    assert Conformal.fit(values, np.zeros((9, 1)), coverage=0.95).radii.tolist() == [np.inf]


def test_an_interpolated_radius_holds_no_more_than_asked_for() -> None:
    def radius(rows: int, coverage: float) -> float:
        values = np.arange(1.0, rows + 1)[:, None]
        return float(Conformal.fit(values, values * 0, coverage=coverage, interpolated=True).radii[0])

    # of the numbers 1 to n, the place is the radius
    assert [radius(rows, 0.9) for rows in (8, 9, 16, 64)] == pytest.approx([np.inf, 9, 15.3, 58.5])
    assert radius(1, 0.4) == 1
    endless = np.array([[1.0]] * 8 + [[np.inf]])
    assert Conformal.fit(endless, np.zeros((9, 1)), interpolated=True).radii.tolist() == [np.inf]
    draw = np.random.default_rng(0)
    learned, asked = (np.abs(draw.normal(size=(rows, 20_000))) for rows in (16, 40))
    shares = {
        interpolated: (asked <= Conformal.fit(learned, learned * 0, interpolated=interpolated).radii).mean()
        for interpolated in (False, True)
    }
    assert shares == {False: pytest.approx(16 / 17, abs=0.005), True: pytest.approx(0.9, abs=0.01)}


def test_missing_values_do_not_count() -> None:
    values = np.array([[1.0, np.nan], [2, np.nan], [np.nan, np.nan]])
    learned = Conformal.fit(values, np.zeros((3, 2)), coverage=0.5)
    assert learned.radii.tolist() == [2, np.inf]
    assert np.isnan(measured_coverage(values, *learned.intervals(np.zeros((3, 2))))[1])


def test_calibrations_survive_json() -> None:
    for one in (
        Conformal(0.9, np.array([1.5, np.inf]), True),
        Temperature(1.7),
        Isotonic([([0.1, 0.9], [0.2, 0.8]), ([], [])], True),
    ):
        again = type(one).from_record(json.loads(json.dumps(one.to_record(), allow_nan=False)))
        assert again.to_record() == one.to_record()


def test_a_coverage_must_be_a_share() -> None:
    with pytest.raises(ConfigError, match="the coverage of intervals lies between 0 and 1, not at 90"):
        Conformal.fit(np.zeros((3, 1)), np.zeros((3, 1)), coverage=90)
    with pytest.raises(ValueError, match="an uncertainty is needed exactly where one was given to fit"):
        Conformal(0.9, np.ones(1), True).intervals(np.zeros((3, 1)))


def overconfident(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits three times too large, and classes."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(rows, 1))
    return 3 * true, (rng.random((rows, 1)) < 1 / (1 + np.exp(-true))).astype(float)


def test_temperature_finds_how_much_too_sure_a_model_is() -> None:
    logits, values = overconfident(4000, 0)
    learned = Temperature.fit(logits, values, classes=False)
    assert learned.temperature == pytest.approx(3, rel=0.15)
    fresh, truth = overconfident(4000, 1)
    before, after = (one.probabilities(fresh, classes=False)[:, 0] for one in (Temperature(1.0), learned))
    assert ece(truth[:, 0], after) < 0.03 < ece(truth[:, 0], before)


def test_temperature_of_several_classes() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 3))
    chances = np.exp(true) / np.exp(true).sum(1, keepdims=True)
    values = np.array([[rng.choice(3, p=row)] for row in chances], float)
    values[::10] = np.nan
    learned = Temperature.fit(2 * true, values, classes=True)
    assert learned.temperature == pytest.approx(2, rel=0.15)
    np.testing.assert_allclose(learned.probabilities(true, classes=True).sum(1), 1)
    assert Temperature.fit(true, np.full((4000, 1), np.nan), classes=True).temperature == 1


def test_isotonic_maps_any_rising_distortion_back() -> None:
    logits, values = overconfident(4000, 0)
    learned = Isotonic.fit(1 / (1 + np.exp(-logits)), values, classes=False)
    fresh, truth = overconfident(4000, 1)
    plain = 1 / (1 + np.exp(-fresh))
    mended = learned.probabilities(plain)
    assert ece(truth[:, 0], mended[:, 0]) < 0.03 and log_loss(truth[:, 0], mended[:, 0]) < log_loss(
        truth[:, 0], plain[:, 0]
    )
    assert mended.min() > 0 and mended.max() < 1
    assert (np.diff(mended[np.argsort(plain[:, 0]), 0]) >= -1e-12).all()


def test_isotonic_rows_of_classes_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(3), 300)
    learned = Isotonic.fit(chances, rng.integers(2, size=(300, 1)).astype(float), classes=True)
    # the third class never came: nothing is learned of it
    assert learned.points[2] == ([], [])
    np.testing.assert_allclose(learned.probabilities(chances).sum(1), 1)
