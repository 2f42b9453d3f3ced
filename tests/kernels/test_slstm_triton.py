"""The GPU kernels of the sLSTM equal the recurrence; without a GPU they run in Triton's interpreter."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels.slstm import SlstmState, slstm

pytest.importorskip("triton")

NAMES = ("y", "h", "c", "n", "m", "dx", "dr", "db", "dh", "dc", "dn", "dm")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def offsets(lengths: Sequence[int]) -> Tensor:
    """Return cu_seqlens of the lengths."""
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


def problem(time: int, sequences: int, width: int = 5, heads: int = 2) -> list[Tensor]:
    """Return x, r, b of one packed row and the parts of a state, in float64 but with the digits of float32."""
    x, r = torch.randn(1, time, heads, 4, width), torch.randn(heads, width, 4, width)
    b, (h, c, n, m) = torch.randn(heads, 4, width), torch.randn(4, sequences, heads, width).unbind()
    return [part.double() for part in (2 * x, r * width**-0.5, b, h, c, n.exp(), m)]


def run(
    data: list[Tensor],
    backend: str,
    dtype: torch.dtype,
    with_state: bool,
    lengths: Sequence[int],
    reverse: bool,
) -> list[Tensor]:
    """Return y, the final state and all gradients of a fixed loss of those."""
    device = DEVICE if backend == "triton" else "cpu"
    given = data if with_state else data[:3]
    leaves = [part.to(device, dtype, copy=True).requires_grad_() for part in given]
    state = SlstmState(*leaves[3:]) if with_state else None
    form: dict[str, Any] = {"state": state, "cu_seqlens": offsets(lengths), "reverse": reverse}
    y, last = slstm(leaves[0], leaves[1], leaves[2], backend=backend, **form)
    outputs = [y, *last]
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(part.shape, generator=generator, dtype=torch.float64) for part in outputs]
    loss = sum((part * weight.to(part)).sum() for part, weight in zip(outputs, weights, strict=True))
    gradients = torch.autograd.grad(loss, leaves)
    return [part.detach().cpu() for part in (*outputs, *gradients)]


def compare(
    agree: Any, data: list[Tensor], with_state: bool, lengths: Sequence[int], reverse: bool = False
) -> None:
    """Hold the kernels against the recurrence in float64."""
    expected = run(data, "reference", torch.float64, with_state, lengths, reverse)
    actual = run(data, "triton", torch.float32, with_state, lengths, reverse)
    agree(zip(NAMES, actual, expected, strict=False), 1e-5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("lengths", [(1,), (7,), (3, 1, 6)])
def test_every_form(reverse: bool, with_state: bool, lengths: tuple[int, ...], agree: Any) -> None:
    """Agree in both directions, with and without a state, where fresh memory holds NaN."""
    compare(agree, problem(sum(lengths), len(lengths)), with_state, lengths, reverse)


def test_many_sequences(agree: Any) -> None:
    """Agree when there are more sequences than one program reads."""
    lengths = (1, 2, 4, 1, 1, 3, 2, 1, 1, 2, 1, 5, 1, 1, 2, 1, 3, 1)
    compare(agree, problem(sum(lengths), len(lengths), heads=1), True, lengths)


@pytest.mark.parametrize(("width", "heads"), [(16, 2), (40, 1), (70, 1)])
def test_every_width(width: int, heads: int, agree: Any) -> None:
    """Agree whether the weights stay on the chip, on the way there alone, or never."""
    compare(agree, problem(6, 2, width, heads), True, (4, 2))


def test_extreme_gates(agree: Any) -> None:
    """Agree when gates jump between -40 and 40: nothing overflows and no digit is lost."""
    data = problem(20, 2)
    data[0] = (data[0] + 40.0 * torch.randint(-1, 2, data[0].shape)).float().double()
    compare(agree, data, False, (13, 7))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_counts_in_float32(dtype: torch.dtype, agree: Any) -> None:
    """Round only what is returned, and on a GPU the factors of the products to ten bits."""
    data = [part.to(dtype).double() for part in problem(9, 2)]
    expected = run(data, "reference", torch.float64, False, (6, 3), False)
    actual = run(data, "triton", dtype, False, (6, 3), False)
    assert [part.dtype for part in actual] == [dtype, *[torch.float32] * 4, *[dtype] * 3]
    agree(zip(NAMES, actual, expected, strict=False), 4 * torch.finfo(dtype).eps)
