"""The fast causal convolution equals the written-out one: outputs, states and every gradient."""

from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels.conv import causal_conv, causal_conv_step


def offsets(lengths: tuple[int, ...]) -> Tensor:
    """Return cu_seqlens of the lengths."""
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


def run(parts: list[Tensor | None], backend: str, **form: Any) -> list[Tensor]:
    """Return y, the final state and the gradients of x, weight, bias, state."""
    leaves = [None if x is None else x.clone().requires_grad_() for x in parts]
    y, last = causal_conv(*leaves[:3], state=leaves[3], backend=backend, **form)
    generator = torch.Generator().manual_seed(1)
    loss = sum((x * torch.randn(x.shape, generator=generator).to(x.dtype)).sum() for x in (y, last))
    given = [x for x in leaves if x is not None]
    gradients = torch.autograd.grad(loss, given, allow_unused=True)
    return [
        y,
        last,
        *(torch.zeros_like(x) if g is None else g for x, g in zip(given, gradients, strict=True)),
    ]


@pytest.mark.parametrize("width", [1, 2, 4, 7])
@pytest.mark.parametrize("lengths", [None, (6, 1, 2, 9, 3), (1,)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("activation", ["none", "silu"])
@pytest.mark.parametrize("complete", [False, True])
def test_equals_the_reference(
    width: int, lengths: tuple[int, ...] | None, reverse: bool, activation: str, complete: bool, agree: Any
) -> None:
    """Agree with and without bias and state, at every width, shorter sequences than the window included."""
    batch, time = (3, 8) if lengths is None else (1, sum(lengths))
    sequences = 3 if lengths is None else len(lengths)
    x, weight = torch.randn(batch, time, 5).double(), torch.randn(5, width).double()
    bias, state = torch.randn(5).double(), torch.randn(sequences, width - 1, 5).double()
    parts = [x, weight, bias, state] if complete else [x, weight, None, None]
    boundaries = None if lengths is None else offsets(lengths)
    form: dict[str, Any] = {"cu_seqlens": boundaries, "reverse": reverse, "activation": activation}
    expected = run(parts, "reference", **form)
    names = ("y", "state", "dx", "dweight", "dbias", "dstate")
    agree(zip(names, run(parts, "torch", **form), expected, strict=False), 1e-12)


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_counts_in_float32(dtype: torch.dtype, agree: Any) -> None:
    """Round only the result."""
    x, weight = torch.randn(2, 9, 3).to(dtype), torch.randn(3, 4)
    y, state = causal_conv(x, weight, activation="silu")
    expected, _ = causal_conv(x.float(), weight, activation="silu")
    assert y.dtype == state.dtype == dtype
    agree([("y", y, expected)], torch.finfo(dtype).eps)
