"""Make every test repeatable: few threads, fixed seeds, and fresh memory that holds NaN."""

# ruff: noqa: E402 - the environment is set before numpy and torch read it

import os

# before torch and numba are imported, and inherited by the processes that tests start
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "2")
# as the commands do: threads that wait do not take the processor from others
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import random
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def repeatable() -> None:
    """Seed every generator; where torch is in use, fill fresh tensors with NaN."""
    random.seed(0)
    np.random.seed(0)
    # a test that does without torch must not pay for its import
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "manual_seed"):
        return
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder that holds pyproject.toml."""
    return ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
