"""Backends are chosen by device, refused by name where they cannot run, and trusted on a GPU only after a test."""

import json
import warnings
from pathlib import Path

import pytest
import torch

from bio_xlstm.kernels import choice, trust
from bio_xlstm.kernels.choice import Choice, automatic, choose_backend, find_obstacle, resolve
from bio_xlstm.kernels.selftest import Errors
from bio_xlstm.kernels.trust import Verdict, judge

BACKENDS = {name: lambda: None for name in ("reference", "torch", "numba", "triton")}
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
describe_place = trust._place


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
    monkeypatch.setattr(
        choice, "find_fault", lambda name: "" if name in packages else f"{name} is not installed"
    )
    return packages


def test_the_fastest_that_runs_is_chosen(installed: set[str]) -> None:
    assert automatic(BACKENDS, "cpu").backend == "numba"
    assert automatic(BACKENDS, "cuda").backend == "triton"
    assert automatic(BACKENDS, "mps").backend == "torch"
    assert automatic(BACKENDS, "cpu", torch.float64).backend == "torch"
    assert automatic({"torch": None}, "cpu").backend == "torch"
    installed.clear()
    assert automatic(BACKENDS, "cpu").backend == automatic(BACKENDS, "cuda").backend == "torch"
    assert automatic(BACKENDS, "cpu").reason.endswith("; numba is not installed")


def test_what_cannot_run_is_refused_with_the_reason(
    installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match="mlstm: backend triton cannot run here: triton needs a CUDA GPU"):
        choose_backend("mlstm", "triton", BACKENDS, CPU, torch.float32)
    with pytest.raises(ValueError, match="numba runs on the CPU, the tensors are on cuda"):
        choose_backend("mlstm", "numba", BACKENDS, GPU, torch.float32)
    with pytest.raises(ValueError, match="mlstm: no backend 'fast'; available: auto, numba, reference"):
        choose_backend("mlstm", "fast", BACKENDS, CPU, torch.float32)
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


def test_what_would_run_is_said_with_the_reason(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("mlstm", "torch", BACKENDS, GPU, torch.float32) == Choice("torch", "asked for by name")
    assert resolve("mlstm", "auto", BACKENDS, CPU, torch.float32) == Choice("numba", "compiled for this CPU")
    verdicts = {"mlstm": Verdict(True, "fine"), "causal_conv": Verdict(True, "good")}
    monkeypatch.setattr(trust, "judge", lambda primitive, device: verdicts[primitive])
    found = resolve("mlstm", "auto", BACKENDS, GPU, torch.bfloat16)
    assert found == Choice("triton", "compiled for this GPU, fine")
    assert resolve("mlstm", "auto", BACKENDS, GPU, torch.float64).backend == "torch"
    # what is composed of primitives stands and falls with them
    found = resolve("mlstm_mixer", "auto", BACKENDS, GPU, torch.float32)
    assert found == Choice("triton", "compiled for this GPU, causal_conv: good; mlstm: fine")
    verdicts["mlstm"] = Verdict(False, "float32 errors 1e+00 forward")
    found = resolve("mlstm_mixer", "auto", BACKENDS, GPU, torch.float32)
    reason = "in place of triton, its self-test failed: mlstm: float32 errors 1e+00 forward"
    assert found == Choice("torch", reason)
    assert choose_backend("mlstm", "auto", BACKENDS, GPU, torch.float32) is BACKENDS["torch"]
    with pytest.raises(ValueError, match="mlstm: no backend 'fast'"):
        resolve("mlstm", "fast", BACKENDS, GPU, torch.float32)


@pytest.mark.parametrize("found", [Errors(1e-3, 0.0), Errors(float("inf"), 0.0), Errors(0.0, float("nan"))])
def test_kernels_that_fail_are_replaced_with_a_warning(
    found: Errors, installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(trust, "measure", lambda *call: calls.append(call) or found)
    with pytest.warns(UserWarning, match="the Triton kernels of slstm fail their self-test on this GPU"):
        assert choose_backend("slstm", "auto", BACKENDS, GPU, torch.float32) is BACKENDS["torch"]
    # who asks for them by name gets them
    assert choose_backend("slstm", "triton", BACKENDS, GPU, torch.float32) is BACKENDS["triton"]
    # another process reads the verdict, and says so, once
    judge.cache_clear()
    with pytest.warns(UserWarning, match="as .*gpu-kernels.json remembers; delete it to have the test repe"):
        assert not judge("slstm", 0).passed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_backend("slstm", "auto", BACKENDS, GPU, torch.float32) is BACKENDS["torch"]
    assert len(calls) == 1


def test_an_error_is_not_remembered(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Errors:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the documentation")

    monkeypatch.setattr(trust, "measure", full)
    text = r"mlstm could not be tested on this GPU \(OutOfMemoryError: CUDA out of memory. Tried .* GiB.\); torch"
    with pytest.warns(UserWarning, match=text):
        assert choose_backend("mlstm", "auto", BACKENDS, GPU, torch.float32) is BACKENDS["torch"]
    assert not trust.memory_file().exists()
    monkeypatch.setattr(trust, "measure", lambda *_: Errors(0.0, 0.0))
    assert not judge("mlstm", 0).passed  # this process keeps to one backend
    judge.cache_clear()
    assert judge("mlstm", 0).passed


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
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    judge.cache_clear()
    assert judge("mlstm", 0).passed


@pytest.mark.parametrize(
    "entry", [None, 1, "no", [], [True], [1, "x"], [True, None], [False, "x", 2], {"a": 1}]
)
def test_a_damaged_entry_counts_as_none(entry: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_test", lambda *_: Verdict(True, "fine"))
    trust.memory_file().parent.mkdir(parents=True)
    trust.memory_file().write_text(json.dumps({"mlstm on GPU 0": entry, "other": [True, "kept"]}))
    assert judge("mlstm", 0) == (True, "fine")
    kept = {"mlstm on GPU 0": [True, "fine"], "other": [True, "kept"]}
    assert json.loads(trust.memory_file().read_text()) == kept


def test_a_verdict_holds_for_one_state_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = type("Properties", (), {"name": "GPU X", "major": 9, "minor": 0})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    monkeypatch.setattr(trust, "version", lambda name: "1.0")
    assert trust.source_hash() in describe_place("mlstm", 0)
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "kernel.py").write_text("x = 1\n")
    monkeypatch.setattr(trust, "__file__", str(tmp_path / "trust.py"))
    hashes = set()
    for content in ("x = 1\n", "x = 2\n"):
        (tmp_path / "part" / "kernel.py").write_text(content)
        trust.source_hash.cache_clear()
        hashes.add(describe_place("mlstm", 0))
    trust.source_hash.cache_clear()
    assert len(hashes) == 2
