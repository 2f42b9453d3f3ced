"""Mixtures are those under which labels are likeliest; slopes are those of the likelihood."""

import numpy as np
import pytest
import torch
from scipy.optimize import check_grad

from bio_xlstm.in_context import mixture
from bio_xlstm.in_context.mixture import EXPECTED, weigh


def drawn(kernels: int = 3, count: int = 40) -> torch.Tensor:
    """Draw linear kernels (C, N, N) of one size."""
    torch.manual_seed(1)
    numbers = torch.randn(kernels, count, 6).double()
    found = numbers @ numbers.transpose(1, 2)
    return found / found.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]


def test_slope_is_that_of_the_likelihood() -> None:
    kernels = drawn().flatten(1)
    labels = torch.from_numpy(np.random.default_rng(0).normal(size=40))

    def value(logarithms: np.ndarray) -> float:
        return mixture._unlikely(torch.from_numpy(np.exp(logarithms)), kernels, labels)[0].item()

    def slope(logarithms: np.ndarray) -> np.ndarray:
        return mixture._unlikely(torch.from_numpy(np.exp(logarithms)), kernels, labels)[1].numpy()

    start = np.array([-1.0, 0.3, -2.0, -0.5])
    assert np.linalg.norm(slope(start)) > 1
    assert check_grad(value, slope, start) < 1e-4


def test_likelihood_is_that_of_the_textbook() -> None:
    """With the signal's best variance, the density of a normal distribution, but for a constant."""
    from scipy.stats import multivariate_normal

    kernels, labels = drawn(count=12), np.random.default_rng(0).normal(size=12)
    sizes = np.array([0.4, 0.3, 0.3, 0.7])
    system = np.einsum("c,cij->ij", sizes[:3], kernels.numpy()) + sizes[3] * np.eye(12)
    signal = labels @ np.linalg.solve(system, labels) / 12
    density = multivariate_normal(cov=signal * system).logpdf(labels)
    found = mixture._unlikely(torch.from_numpy(sizes), kernels.flatten(1), torch.from_numpy(labels))[0].item()
    assert -found - 6 * (np.log(2 * np.pi) + 1) == pytest.approx(density)


def test_the_kernel_that_explains_labels_counts_most() -> None:
    kernels = drawn()
    labels = np.random.default_rng(3).multivariate_normal(np.zeros(40), kernels[1].numpy())
    found = weigh(kernels, torch.from_numpy(labels), torch.ones(3).double())
    assert found.shares.argmax() == 1 and found.shares[1] > 2 * found.shares[0]
    assert found.noise < 0.3


def test_what_is_nowhere_counts_nothing() -> None:
    kernels = drawn()
    kernels[2] = 0
    labels = torch.randn(40).double()
    three = weigh(kernels, labels, torch.ones(3).double())
    two = weigh(kernels[:2], labels, torch.ones(2).double())
    assert three.shares[2] == 0
    torch.testing.assert_close(three.shares[:2], two.shares)
    nothing = weigh(torch.zeros_like(kernels), labels, torch.ones(3).double())
    assert not nothing.shares.any() and nothing.noise.item() == pytest.approx(10**EXPECTED)


@pytest.mark.parametrize("count", [2, 16, 256])
def test_labels_without_noise_are_no_error(count: int) -> None:
    """What a kernel of low rank explains without rest draws the noise down, as far as numbers can tell."""
    torch.manual_seed(0)
    numbers = torch.randn(count, 2).double()
    kernels = torch.stack([numbers @ numbers.T, torch.ones(count, count).double(), torch.eye(count).double()])
    kernels = kernels / kernels.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    found = weigh(kernels, numbers[:, 0], torch.tensor([1.0, 8.0, 1.0]).double())
    assert torch.isfinite(found.shares).all() and found.noise > 0


def test_without_labels_to_tell_the_expected_mixture_stays() -> None:
    expected = torch.tensor([1.0, 8.0]).double()
    found = weigh(drawn(2), torch.zeros(40).double(), expected)
    assert torch.isfinite(found.shares).all() and found.shares[1] > found.shares[0]
