"""The self-test finds what is wrong, whatever the caller has switched on, and its problems leave sound kernels room."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels import selftest, trust
from bio_xlstm.kernels.conv import dispatch
from bio_xlstm.kernels.problems import PROBLEMS, Exam, Problem
from bio_xlstm.kernels.selftest import TOLERANCE, Errors, measure

PLACE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def hooked() -> AbstractContextManager[None]:
    """Refuse to keep anything for the way back, as hooks of a checkpointed step may do."""

    def refuse(x: Tensor) -> Tensor:
        raise RuntimeError("nothing is to be kept")

    return torch.autograd.graph.saved_tensors_hooks(refuse, refuse)


SWITCHED: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "nothing": nullcontext,
    "inference": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": lambda: torch.device("meta"),
    "hooks": hooked,
}


@pytest.fixture(scope="module")
def plain() -> trust.Verdict:
    """Return the verdict on the Triton kernels of the convolution."""
    pytest.importorskip("triton")
    return trust._test("causal_conv", PLACE)


@pytest.mark.parametrize("switched", SWITCHED)
def test_a_verdict_does_not_depend_on_what_is_switched_on(plain: trust.Verdict, switched: str) -> None:
    assert plain.passed
    with SWITCHED[switched]():
        assert trust._test("causal_conv", PLACE) == plain


def test_a_verdict_is_found_in_inference_mode(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, plain: trust.Verdict
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(trust, "_place", lambda primitive, device: primitive)
    test = trust._test
    monkeypatch.setattr(trust, "_test", lambda primitive, device: test(primitive, PLACE))
    trust.judge.cache_clear()
    with torch.inference_mode():
        assert trust.judge("causal_conv", 0) == plain
    assert trust._recall() == {"causal_conv": plain}
    trust.judge.cache_clear()


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"[1, 2]", b"[" * 200_000, b'{"a": [true]}'])
def test_a_damaged_file_holds_no_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    trust.memory_file().parent.mkdir()
    trust.memory_file().write_bytes(damage)
    assert trust._recall() == {}


@pytest.mark.parametrize("form", ["reverse", "state"])
def test_what_only_one_problem_reaches_is_found(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Tensor, **given: object) -> tuple[Tensor, Tensor]:
        y, state = dispatch.BACKENDS["torch"](*args, **given)
        return y * (1.001 if given[form] is not None and given[form] is not False else 1), state

    monkeypatch.setitem(dispatch.BACKENDS, "wrong", wrong)
    assert measure("causal_conv", "torch", "cpu").within(1e-5)
    assert measure("causal_conv", "wrong", "cpu").forward > 1e-4


def test_the_worst_problem_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([Errors(1e-7, 3e-7), Errors(2e-7, float("nan")), Errors(5e-8, 0.0)])
    monkeypatch.setattr(selftest, "_measure", lambda *_: next(found))
    problem = Problem(lambda: (), [])
    exam = Exam([problem, problem, problem, problem._replace(gpu=True)], {})
    monkeypatch.setitem(PROBLEMS, "mlstm", lambda: exam)
    # the fourth is left out on a CPU: nothing is left to be found for it
    assert measure("mlstm", "torch", "cpu") == Errors(2e-7, float("inf"))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("primitive", ["mlstm", "causal_conv", "slstm", "decode_step"])
def test_problems_leave_sound_kernels_room(primitive: str, dtype: torch.dtype) -> None:
    exam = PROBLEMS[primitive]()
    for problem in exam.problems:
        for backend in {"torch", "numba"} - {problem.law}:
            errors = selftest._measure(problem, exam.trained, backend, torch.device("cpu"), dtype)
            assert errors.within(TOLERANCE[dtype] / 2), (problem.shapes, backend, errors)


def test_problems_for_a_gpu_reach_its_widths() -> None:
    widths = {problem.shapes[0][-1] for problem in PROBLEMS["mlstm"]().problems}
    assert {64, 128, 256} <= widths
    assert {64, 128} <= {problem.shapes[0][-1] for problem in PROBLEMS["slstm"]().problems}
