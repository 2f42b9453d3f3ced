"""Compare tensors by relative error; without a GPU, run Triton's kernels in its interpreter."""

import os
import sys
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available() and "TRITON_INTERPRET" not in os.environ:
    os.environ["TRITON_INTERPRET"] = "1"
    # triton reads it once, when it is imported: forget an import that came with an earlier test
    for _name in [name for name in sys.modules if name.split(".")[0] == "triton" and name[:9] != "triton._C"]:
        del sys.modules[_name]

Compare = Callable[[Iterable[tuple[str, Tensor, Tensor]], float], None]


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return the largest deviation as a share of the largest expected value."""
    if actual.shape != expected.shape or not torch.isfinite(actual).all():
        return float("inf")
    if actual.numel() == 0:
        return 0.0
    deviation = (actual.double() - expected.double()).abs().max().item()
    return deviation / max(expected.double().abs().max().item(), 1e-30) if deviation else 0.0


@pytest.fixture(scope="session")
def agree() -> Compare:
    """Return a check of (name, actual, expected) triples against one relative tolerance."""

    def check(pairs: Iterable[tuple[str, Tensor, Tensor]], tolerance: float) -> None:
        """Fail with the names of all tensors that deviate."""
        errors = {name: relative_error(actual, expected) for name, actual, expected in pairs}
        wrong = {name: f"{error:.1e}" for name, error in errors.items() if not error <= tolerance}
        assert not wrong, f"relative error above {tolerance:.0e}: {wrong}"

    return check
