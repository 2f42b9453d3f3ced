"""Backends are chosen by device, refused by name where they cannot run, and trusted on a GPU only after a test."""

from pathlib import Path

import pytest
import torch

from bio_xlstm.kernels import choice, trust
from bio_xlstm.kernels.choice import automatic, choose_backend, find_obstacle
from bio_xlstm.kernels.selftest import Errors
from bio_xlstm.kernels.trust import Verdict, judge

BACKENDS = {name: lambda: None for name in ("reference", "torch", "numba", "triton")}
GPU = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def forgetful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep verdicts in a folder of the test, and none in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(trust, "_place", lambda primitive, device: f"{primitive} on GPU {device}")
    judge.cache_clear()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the packages that pass for installed."""
    packages = {"numba", "triton"}
    monkeypatch.setattr(choice, "_installed", packages.__contains__)
    return packages


def test_the_fastest_that_runs_is_chosen(installed: set[str]) -> None:
    assert automatic(BACKENDS, "cpu").backend == "numba"
    assert automatic(BACKENDS, "cuda").backend == "triton"
    assert automatic(BACKENDS, "mps").backend == "torch"
    assert automatic(BACKENDS, "cpu", torch.float64).backend == "torch"
    assert automatic({"torch": None}, "cpu").backend == "torch"
    installed.clear()
    assert automatic(BACKENDS, "cpu").backend == automatic(BACKENDS, "cuda").backend == "torch"


def test_what_cannot_run_is_refused_with_the_reason(
    installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    cpu = torch.device("cpu")
    with pytest.raises(ValueError, match="mlstm: backend triton cannot run here: triton needs a CUDA GPU"):
        choose_backend("mlstm", "triton", BACKENDS, cpu, torch.float32)
    with pytest.raises(ValueError, match="numba runs on the CPU, the tensors are on cuda"):
        choose_backend("mlstm", "numba", BACKENDS, GPU, torch.float32)
    with pytest.raises(ValueError, match="mlstm: no backend 'fast'; available: auto, numba, reference"):
        choose_backend("mlstm", "fast", BACKENDS, cpu, torch.float32)
    assert "triton does not run on mps" in find_obstacle("triton", "mps")
    installed.clear()
    assert find_obstacle("numba", "cpu") == "numba is not installed"
    assert find_obstacle("triton", "cuda") == "triton is not installed"


def test_kernels_that_pass_are_used_and_tested_once(
    installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def measure(primitive: str, *_: object) -> Errors:
        calls.append(primitive)
        return Errors(1e-7, 1e-6)

    monkeypatch.setattr(trust, "measure", measure)
    for _ in range(2):
        assert choose_backend("mlstm", "auto", BACKENDS, GPU, torch.float32) is BACKENDS["triton"]
        judge.cache_clear()  # as in another process, which reads the file
    assert calls == ["mlstm"] * 2  # once in each precision
    assert "float32 errors 1e-07 forward" in judge("mlstm", 0).detail


@pytest.mark.parametrize(
    "found", [Errors(1e-3, 0.0), Errors(float("inf"), 0.0), Errors(0.0, float("nan")), None]
)
def test_kernels_that_fail_are_replaced_with_a_warning(
    found: Errors | None, installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object) -> Errors:
        if found is None:
            raise RuntimeError("out of resource: shared memory")
        return found

    monkeypatch.setattr(trust, "measure", measure)
    with pytest.warns(UserWarning, match="the Triton kernels of slstm fail their self-test on this GPU"):
        assert choose_backend("slstm", "auto", BACKENDS, GPU, torch.float32) is BACKENDS["torch"]
    # who asks for them by name gets them
    assert choose_backend("slstm", "triton", BACKENDS, GPU, torch.float32) is BACKENDS["triton"]


def test_a_memory_that_cannot_be_kept_costs_only_a_test(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trust, "_test", lambda *_: Verdict(True, "fine"))
    trust.memory_file().parent.mkdir(parents=True)
    trust.memory_file().write_text("{ not json")
    assert judge("mlstm", 0).passed
    judge.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("in the way")
    assert judge("mlstm", 0).passed
