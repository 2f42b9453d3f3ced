"""Values that are only bounded count where the fit lies on the wrong side of them."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from bio_xlstm.in_context import gaussian
from bio_xlstm.in_context.gaussian import Solved, Wanted, solve, solve_on
from bio_xlstm.in_context.labels import Labels

NOISE = torch.tensor([0.4], dtype=torch.float64)


def kernel(count: int) -> torch.Tensor:
    """Return the covariance (1, N, N) of points on a line."""
    line = torch.linspace(0, 3, count, dtype=torch.float64)
    return torch.exp(-(line[:, None] - line).square())[None]


def bounded(count: int, seed: int = 0) -> Labels:
    """Draw labels a third of which are bounds, to either side."""
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, count)))
    return Labels.of_numbers(
        values, (torch.arange(count) % 3 == 0)[None] * torch.tensor([1, -1]).repeat(count)[:count]
    )


def solved(labels: Labels, count: int) -> Solved:
    return solve(kernel(count), Wanted.of(labels), NOISE)


def test_the_fit_loses_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where values have settled, no other function has a lower one-sided squared error, its penalty included."""
    monkeypatch.setattr(gaussian, "_SETTLED", 4000)
    count = 12
    labels = bounded(count)
    wanted, found = Wanted.of(labels), solved(labels, count)
    matrix, said = kernel(count)[0].numpy(), found.said[0].numpy()
    y, relations = wanted.right[0].numpy(), wanted.relations[0].numpy()

    def loss(weights: np.ndarray) -> float:
        missed = y - matrix @ weights
        missed = np.where(relations == 0, missed, (relations * missed).clip(0))
        return float(missed @ missed + NOISE.item() * weights @ matrix @ weights)

    best = minimize(loss, np.zeros(count), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(matrix @ best.x, matrix @ said, atol=2e-4)


def test_few_steps_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = bounded(40)
    few = kernel(40)[0] @ solved(labels, 40).said[0]
    monkeypatch.setattr(gaussian, "_SETTLED", 4000)
    torch.testing.assert_close(kernel(40)[0] @ solved(labels, 40).said[0], few, atol=0.02, rtol=0)


def test_bounds_are_kept() -> None:
    labels = bounded(15)
    found = solved(labels, 15).right - Wanted.of(labels).right
    assert (found * labels.relations >= 0).all() and found.any()
    assert (found[labels.relations == 0] == 0).all()


@pytest.mark.parametrize("far", [0.0, 3.0, 1e5])
@pytest.mark.parametrize("side", [1, -1])
def test_bounds_that_say_nothing_count_nothing(far: float, side: int) -> None:
    """Bounds that every measured value keeps to: standardised and answered as if they were not there."""
    numbers = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 12)))
    bounds = torch.zeros(1, 12)
    bounds[0, 5:] = side
    end = numbers[0, :5].amin() - far if side > 0 else numbers[0, :5].amax() + far
    labels = Labels.of_numbers(torch.where(bounds == 0, numbers, end), bounds)
    alone = Labels.of_numbers(numbers[:, :5])
    torch.testing.assert_close(labels.shift, alone.shift)
    torch.testing.assert_close(labels.scale, alone.scale)
    torch.testing.assert_close(labels.values[:, :5], alone.values)
    matrix = kernel(12)
    whole, few = solve(matrix, Wanted.of(labels), NOISE), solve(matrix[:, :5, :5], Wanted.of(alone), NOISE)
    torch.testing.assert_close(
        matrix[0] @ whole.said[0], matrix[0, :, :5] @ few.said[0], rtol=1e-6, atol=1e-6
    )
    likely = (
        gaussian.evidence(matrix, Wanted.of(labels), -0.2),
        gaussian.evidence(matrix[:, :5, :5], Wanted.of(alone), -0.2),
    )
    torch.testing.assert_close(*likely)


def test_bounds_alone_are_taken_for_values() -> None:
    labels = Labels.of_numbers(torch.tensor([[5.0, 6.0, 7.0]]).double(), torch.ones(1, 3))
    assert Wanted.of(labels).telling.all() and labels.shift.item() == pytest.approx(6)
    assert torch.isfinite(solve(kernel(3), Wanted.of(labels), NOISE).said).all()


def test_slots_for_all_say_the_same() -> None:
    """With every example a slot, the subset of regressors is the process itself."""
    labels = bounded(20)
    few = solve_on(kernel(20), lambda some: kernel(20)[:, :, some], Wanted.of(labels), NOISE)
    torch.testing.assert_close(
        kernel(20)[0] @ few.said[0], kernel(20)[0] @ solved(labels, 20).said[0], rtol=1e-3, atol=1e-4
    )


def test_a_support_without_bounds_is_not_changed_by_its_company() -> None:
    plain = bounded(9)._replace(relations=torch.zeros(1, 9))
    both = Labels(
        *(
            torch.cat([one, other]) if torch.is_tensor(one) else one
            for one, other in zip(plain, bounded(9, 1), strict=True)
        )
    )
    together = solve(kernel(9).expand(2, -1, -1), Wanted.of(both), NOISE.expand(2))
    torch.testing.assert_close(together.said[:1], solved(plain, 9).said)


@pytest.mark.parametrize("far", [0.0, 50.0, 1e6])
def test_no_bound_is_too_far_to_be_met(far: float) -> None:
    """Fits far on the right or the wrong side of a bound give finite numbers."""
    values = torch.tensor([[0.0, 0.1, -0.1, far, -far]], dtype=torch.float64)
    labels = Labels(values, torch.tensor([[0, 0, 0, 1, 1.0]]), "regression", torch.zeros(1), torch.ones(1))
    found = solved(labels, 5)
    assert torch.isfinite(found.said).all() and torch.isfinite(found.right).all()


def test_what_is_no_covariance_is_solved_all_the_same() -> None:
    """What a kernel lacks counts as noise, in the support that lacks it alone; answers stay finite."""
    torch.manual_seed(0)
    fine = kernel(6)
    broken = fine.clone()
    broken[0, 0, 1] = broken[0, 1, 0] = 1.4
    assert torch.linalg.eigvalsh(broken).min() < -0.1
    noise = torch.tensor([1e-3, 1e-3], dtype=torch.float64)
    wanted = Wanted.of(Labels.of_numbers(torch.randn(1, 6).double().expand(2, -1)))
    both = solve(torch.cat([broken, fine]), wanted, noise).said
    assert torch.isfinite(both).all() and both.abs().max() < 1e3
    alone = solve(fine, wanted.of_support(1), noise[1:]).said
    torch.testing.assert_close(both[1:], alone, rtol=1e-5, atol=1e-6)
