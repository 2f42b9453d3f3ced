"""The fast causal convolutions equal the written-out one: outputs, states and every gradient."""

from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels.conv import causal_conv, causal_conv_step

# numba counts in float32; triton has a file of its own
BACKENDS = {"torch": (torch.float64, 1e-12), "numba": (torch.float32, 1e-5)}
NAMES = ("y", "state", "dx", "dweight", "dbias", "dstate")


def offsets(lengths: tuple[int, ...]) -> Tensor:
    """Return cu_seqlens of the lengths."""
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


def run(parts: list[Tensor | None], backend: str, used: str = "yz", **form: Any) -> list[Tensor]:
    """Return y, the final state z and the gradients of x, weight, bias, state of a fixed loss of the used outputs."""
    leaves = [None if x is None else x.clone().requires_grad_() for x in parts]
    y, last = causal_conv(*leaves[:3], state=leaves[3], backend=backend, **form)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(x.shape, generator=generator).to(x.dtype).double() for x in (y, last)]
    outputs = zip("yz", (y, last), weights, strict=True)
    loss = sum((x.double() * weight).sum() for name, x, weight in outputs if name in used)
    given = [x for x in leaves if x is not None]
    gradients = torch.autograd.grad(loss, given, allow_unused=True)  # type: ignore[arg-type]
    return [
        y,
        last,
        *(torch.zeros_like(x) if g is None else g for x, g in zip(given, gradients, strict=True)),
    ]


def compare(agree: Any, parts: list[Tensor | None], backend: str, used: str = "yz", **form: Any) -> None:
    """Hold a backend against the law in float64."""
    dtype, tolerance = BACKENDS[backend]
    expected = run(parts, "reference", used, **form)
    actual = run([None if x is None else x.to(dtype) for x in parts], backend, used, **form)
    agree(zip(NAMES, actual, expected, strict=False), tolerance)


def problem(batch: int, time: int, channels: int, width: int, sequences: int) -> list[Tensor | None]:
    """Return x, weight, bias and state in float64."""
    shapes = ((batch, time, channels), (channels, width), (channels,), (sequences, width - 1, channels))
    return [torch.randn(shape).double() for shape in shapes]


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let four threads share even the smallest work."""
    numba_conv = pytest.importorskip("bio_xlstm.kernels.conv.numba_conv")
    monkeypatch.setattr(numba_conv, "LEAST", 1)
    monkeypatch.setattr(numba_conv, "count_threads", lambda: 4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("width", [1, 2, 4, 7])
@pytest.mark.parametrize("lengths", [None, (6, 1, 2, 9, 3), (1,)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("activation", ["none", "silu"])
@pytest.mark.parametrize("complete", [False, True])
def test_equals_the_reference(
    backend: str, width: int, lengths: tuple[int, ...] | None, reverse: bool, activation: str, complete: bool,
    agree: Any,
) -> None:  # fmt: skip
    """Agree with and without bias and state, at every width, shorter sequences than the window included."""
    batch, time = (3, 8) if lengths is None else (1, sum(lengths))
    parts = problem(batch, time, 5, width, 3 if lengths is None else len(lengths))
    cu_seqlens = None if lengths is None else offsets(lengths)
    parts = parts if complete else [*parts[:2], None, None]
    compare(agree, parts, backend, cu_seqlens=cu_seqlens, reverse=reverse, activation=activation)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [(6, 1, 2, 9, 3), (2,), (30,)])
@pytest.mark.usefixtures("four_threads")
def test_threads_share_sequences(reverse: bool, lengths: tuple[int, ...], agree: Any) -> None:
    """Agree where threads meet inside a window, and where a thread has nothing to do."""
    parts = problem(1, sum(lengths), 5, 4, len(lengths))
    compare(agree, parts, "numba", cu_seqlens=offsets(lengths), reverse=reverse, activation="silu")


def test_long_sequences(agree: Any) -> None:
    """Agree over sequences whose gradients of the weights are summed in several runs of tokens."""
    parts = problem(1, 1100, 19, 4, 2)
    compare(agree, parts, "numba", cu_seqlens=offsets((1000, 100)), activation="silu")
    compare(agree, parts, "numba", cu_seqlens=offsets((70, 1030)), reverse=True)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("used", ["y", "z"])
def test_gradient_of_one_output(backend: str, used: str, agree: Any) -> None:
    """Agree where only the result, or only the final state, is used."""
    compare(agree, problem(1, 5, 3, 4, 2), backend, used, cu_seqlens=offsets((1, 4)), activation="silu")


def test_is_a_convolution(agree: Any) -> None:
    """Multiply the current token by the last weight and the oldest by the first."""
    x, weight = torch.randn(2, 6, 3).double(), torch.randn(3, 4).double()
    padded = torch.nn.functional.pad(x.mT, (3, 0))
    expected = torch.nn.functional.conv1d(padded, weight[:, None], groups=3).mT
    y, state = causal_conv(x, weight)
    agree([("y", y, expected), ("state", state, x[:, 3:])], 1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_packed_is_alone_is_split(reverse: bool, agree: Any) -> None:
    """Return for a packed sequence what it gives alone, or in two parts through the state."""
    x, weight, bias = torch.randn(1, 15, 3), torch.randn(3, 4), torch.randn(3)
    packed, states = causal_conv(x, weight, bias, cu_seqlens=offsets((5, 10)), reverse=reverse)
    alone, last = causal_conv(x[:, 5:], weight, bias, reverse=reverse)
    first, second = (x[:, 7:], x[:, 5:7]) if reverse else (x[:, 5:7], x[:, 7:])
    a, state = causal_conv(first, weight, bias, reverse=reverse)
    b, end = causal_conv(second, weight, bias, state=state, reverse=reverse)
    halves = torch.cat([b, a] if reverse else [a, b], 1)
    agree([("alone", packed[:, 5:], alone), ("halves", halves, alone), ("state", states[1:], last)], 1e-6)
    agree([("end", end, last)], 1e-6)


@pytest.mark.parametrize("activation", ["none", "silu"])
def test_steps_are_the_sequence(activation: str, agree: Any) -> None:
    """Step through a sequence token by token and leave the given state alone."""
    x, weight, bias = torch.randn(2, 6, 3), torch.randn(3, 4), torch.randn(3)
    start = torch.randn(2, 3, 3)
    before = start.clone()
    expected, last = causal_conv(x, weight, bias, state=start, activation=activation)
    state, rows = start, []
    for t in range(6):
        y, state = causal_conv_step(x[:, t], weight, bias, state, activation=activation)
        rows.append(y)
    agree([("y", torch.stack(rows, 1), expected), ("state", state, last)], 1e-6)
    assert torch.equal(start, before)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("activation", ["none", "silu"])
def test_low_precision_counts_in_float32(
    backend: str, dtype: torch.dtype, activation: str, agree: Any
) -> None:
    """Round only the results: y, the final state and the gradients of what is given in low precision."""
    x, weight, bias, state = (part.to(dtype) for part in problem(1, 21, 5, 4, 2) if part is not None)
    low: list[Tensor | None] = [x, weight.float(), bias.float(), state]
    form: dict[str, Any] = {"cu_seqlens": offsets((19, 2)), "activation": activation}
    actual = run(low, backend, "y", **form)
    expected = run([x.double() for x in low if x is not None], "reference", "y", **form)
    assert actual[0].dtype == actual[1].dtype == actual[2].dtype == dtype
    assert actual[3].dtype == actual[4].dtype == torch.float32
    agree(zip(NAMES, actual, expected, strict=True), torch.finfo(dtype).eps)


def test_numba_without_gradients_and_with_other_strides(agree: Any) -> None:
    """Return the same without autograd, from inputs that are not contiguous."""
    x, weight, bias = torch.randn(2, 6, 9).mT, torch.randn(3, 6).T, torch.randn(6, 2)[:, 0]
    expected = causal_conv(x.double(), weight.double(), bias.double(), backend="reference")
    with torch.inference_mode():
        found = causal_conv(x, weight, bias, backend="numba")
    agree(zip(NAMES, found, expected, strict=False), 1e-5)


def test_numba_far_from_zero() -> None:
    """Return next to nothing far below zero, the number itself far above, and NaN for NaN alone."""
    x = torch.tensor([-1e4, 1e4, torch.nan, torch.inf, 0.0])
    y, _ = causal_conv(x.view(1, 5, 1), torch.ones(1, 1), activation="silu", backend="numba")
    assert abs(y[0, 0].item()) < 1e-30 and y.isnan().flatten().tolist() == x.isnan().tolist()
    assert y.flatten()[[1, 3, 4]].tolist() == [1e4, torch.inf, 0.0]
