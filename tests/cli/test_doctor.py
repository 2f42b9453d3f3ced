"""`bioxlstm doctor` passes on a healthy installation and fails on a broken one."""

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


def test_a_missing_device_is_named() -> None:
    result = CliRunner().invoke(doctor, ["--device", "cuda:99"])
    assert isinstance(result.exception, ConfigError)
    assert "cuda:99" in str(result.exception)


def test_speed_is_tokens_over_seconds() -> None:
    from time import sleep

    found = tokens_per_second(lambda: sleep(0.02), tokens=100, seconds=0.1)
    assert 100 / 0.2 < found <= 100 / 0.02
