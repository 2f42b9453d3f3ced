"""`bioxlstm doctor` passes on a healthy installation and fails on a broken one."""

import logging
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import bio_xlstm as bx
from bio_xlstm.cli.doctor import doctor
from bio_xlstm.errors import BioXlstmError, ConfigError
from bio_xlstm.tasks import selftest
from bio_xlstm.tasks.doctor import tokens_per_second


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Write a small DNA model."""
    bx.build("dna", dim=32, blocks=2, heads=2, seed=0).save(tmp_path / "tiny-dna")
    return tmp_path / "tiny-dna"


def test_a_healthy_installation_passes(directory: Path) -> None:
    arguments = ["--device", "cpu", "--no-speed", "-q", "-m", str(directory)]
    result = CliRunner().invoke(doctor, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    for heading in ("versions", "devices", "backends on cpu", "self-tests on cpu"):
        assert f"\n{heading}\n" in result.output
    assert torch.__version__ in result.output
    assert "packed = split through the state" in result.output
    assert "FAILED" not in result.output
    assert result.output.rstrip().endswith("self-tests passed")


def test_a_failed_check_is_an_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "TOLERANCE", 0.0)
    result = CliRunner().invoke(doctor, ["--no-speed", "--device", "cpu", "-m", str(directory)])
    assert isinstance(result.exception, BioXlstmError)
    assert "self-tests failed: " in str(result.exception)
    assert "dna: packed = alone" in str(result.exception)
    assert "FAILED" in result.output


def test_a_backend_that_is_wrong_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from bio_xlstm.kernels.conv import dispatch

    def wrong(*args: torch.Tensor, **kwargs: object) -> tuple[torch.Tensor, torch.Tensor]:
        y, state = dispatch.BACKENDS["reference"](*args, **kwargs)
        return y * 1.001, state

    monkeypatch.setitem(dispatch.BACKENDS, "wrong", wrong)
    verdicts = {check.name: check.passed for check in selftest.check_primitive("causal_conv", "cpu")}
    assert not verdicts["causal_conv: wrong forward"]
    assert not verdicts["causal_conv: wrong gradients"]


def test_a_model_that_looks_at_its_neighbours_is_caught() -> None:
    class Leaky(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor, *rest: object) -> object:
            y, state = self.inner(x, *rest)
            return y + x.mean(dim=1, keepdim=True), state

    model = bx.build("protein", dim=32, blocks=2, heads=2, seed=0).eval()
    assert all(check.passed for check in selftest.check_batch_invariance(model))
    model.blocks[0] = Leaky(model.blocks[0])
    assert not any(check.passed for check in selftest.check_batch_invariance(model) if "alone" in check.name)


def test_backends_of_a_gpu_come_with_their_verdicts_and_where_these_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bio_xlstm.kernels import choice, trust
    from bio_xlstm.tasks.doctor import backends

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choice, "find_fault", lambda compiler: "")
    verdicts = {"slstm": trust.Verdict(False, "float32 errors 1e+00 forward")}
    fine = trust.Verdict(True, "float32 errors 1e-07 forward")
    monkeypatch.setattr(trust, "judge", lambda primitive, device: verdicts.get(primitive, fine))
    facts = dict(backends("cuda:0"))
    assert facts["mlstm"].startswith(
        "triton: compiled for this GPU, float32 errors 1e-07 forward; else torch"
    )
    reason = "torch: in place of triton, its self-test failed: float32 errors 1e+00 forward; else numba"
    assert facts["slstm"].startswith(reason)
    remembered = f"remembered in {tmp_path}/bio_xlstm/gpu-kernels.json; delete it to have them repeated"
    assert facts["tests of GPU kernels"] == remembered
    assert "tests of GPU kernels" not in dict(backends("cpu"))


def test_speed_of_every_primitive_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from bio_xlstm.kernels.problems import PROBLEMS
    from bio_xlstm.tasks import doctor as task

    monkeypatch.setattr(task, "tokens_per_second", lambda call, tokens: call() is not None and 1234.5)
    facts = {fact.name.split(",")[0]: fact.value for fact in task.speeds([])}
    assert facts.pop("decode_step") == "1,234 tokens/s"
    assert set(facts) == set(PROBLEMS) - {"decode_step"}
    assert set(facts.values()) == {"1,234 tokens/s forward, 1,234 tokens/s with gradients"}


@pytest.mark.parametrize("quiet", [False, True])
def test_what_the_kernels_report_is_shown(
    directory: Path, quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(*_: object) -> list[object]:
        logging.getLogger("bio_xlstm.kernels.numba_start").info("compiling")
        return []

    monkeypatch.setattr(selftest, "run_checks", report)
    arguments = ["--device", "cpu", "--no-speed", "-m", str(directory), *(["-q"] if quiet else [])]
    result = CliRunner().invoke(doctor, arguments, catch_exceptions=False)
    assert result.stderr == ("" if quiet else "compiling\n")
    assert not logging.getLogger("bio_xlstm").handlers


def test_a_missing_device_is_named() -> None:
    result = CliRunner().invoke(doctor, ["--device", "cuda:99"])
    assert isinstance(result.exception, ConfigError)
    assert "cuda:99" in str(result.exception)


def test_speed_is_tokens_over_seconds() -> None:
    from time import sleep

    found = tokens_per_second(lambda: sleep(0.02), tokens=100, seconds=0.1)
    assert 100 / 0.2 < found <= 100 / 0.02
