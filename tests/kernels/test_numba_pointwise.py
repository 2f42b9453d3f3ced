"""The float32 functions of compiled loops equal those of the C library in float64, over their whole range."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

numba = pytest.importorskip("numba")

TOLERANCE = 2e-7
SMALLEST, LARGEST = np.finfo(np.float32).tiny, np.finfo(np.float32).max


def exact_log_sigmoid(x: np.ndarray) -> np.ndarray:
    """Return log(1 / (1 + exp(-x)))."""
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp32": np.exp,
    "exp_normal32": lambda x: np.exp(np.clip(x, -87, 88)),
    "sigmoid32": lambda x: np.exp(exact_log_sigmoid(x)),
    "tanh32": np.tanh,
    "log_sigmoid32": exact_log_sigmoid,
}


def apply(name: str, x: np.ndarray) -> np.ndarray:
    """Run one of the functions over an array."""
    from bio_xlstm.kernels import numba_pointwise

    function: Any = getattr(numba_pointwise, name)

    @numba.njit(error_model="numpy")
    def loop(x: np.ndarray, y: np.ndarray) -> None:
        """Apply the function to every number."""
        for place in range(len(x)):
            y[place] = function(x[place])

    y = np.full_like(x, np.nan)
    loop(x, y)
    return y


@pytest.mark.parametrize("name", EXACT)
def test_relative_precision(name: str) -> None:
    """Agree from -105 to 100, close to zero, and at numbers of every magnitude."""
    generator = np.random.default_rng(0)
    tiny = generator.standard_normal(20000) * 10 ** generator.uniform(-30, 0, 20000)
    x = np.concatenate([np.linspace(-105, 100, 50001), np.linspace(-1, 1, 20001), tiny]).astype(np.float32)
    actual, expected = apply(name, x).astype(np.float64), EXACT[name](x.astype(np.float64))
    normal = (np.abs(expected) >= SMALLEST) & (np.abs(expected) <= LARGEST)
    assert np.abs(actual[normal] / expected[normal] - 1).max() < TOLERANCE
    assert np.all(np.abs(actual[np.abs(expected) < SMALLEST]) <= SMALLEST)
    assert np.all(np.isposinf(actual[expected > LARGEST]))


@pytest.mark.parametrize("name", EXACT)
def test_limits(name: str) -> None:
    """Take infinities and very large numbers to the limits, zero up to the smallest normal number, and keep a NaN."""
    x = np.array([-np.inf, -1e30, 0, 1e30, np.inf, np.nan], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = EXACT[name](x.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(apply(name, x), expected, rtol=TOLERANCE, atol=SMALLEST)
