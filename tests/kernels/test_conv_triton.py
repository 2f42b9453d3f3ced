"""The Triton convolution equals the written-out one: outputs, states and every gradient.

Without a GPU the kernels run in Triton's interpreter (see conftest.py).
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")

from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.conv.triton_conv import conv_triton, find_layout

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NAMES = ("y", "state", "dx", "dweight", "dbias", "dstate")


def offsets(lengths: Sequence[int]) -> Tensor:
    """Return cu_seqlens of the lengths."""
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=DEVICE)


def problem(batch: int, time: int, channels: int, width: int, sequences: int) -> list[Tensor]:
    """Return x, weight, bias and state in float64."""
    shapes = ((batch, time, channels), (channels, width), (channels,), (sequences, width - 1, channels))
    return [torch.randn(shape).double().to(DEVICE) for shape in shapes]


def run(
    parts: Sequence[Tensor | None], backend: str, used: Sequence[int] = (0, 1), **form: Any
) -> list[Tensor]:
    """Return y, the final state and the gradients of x, weight, bias, state of a fixed loss of the used outputs."""
    leaves = [None if x is None else x.detach().clone().requires_grad_() for x in parts]
    outputs = causal_conv(*leaves[:3], state=leaves[3], backend=backend, **form)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(x.shape, generator=generator).to(x) for x in outputs]
    loss = sum((outputs[at].double() * weights[at].double()).sum() for at in used)
    given = [x for x in leaves if x is not None]
    gradients = torch.autograd.grad(loss, given, allow_unused=True)  # type: ignore[arg-type]
    found = [torch.zeros_like(x) if g is None else g for x, g in zip(given, gradients, strict=True)]
    return [*outputs, *found]


def compare(agree: Any, parts: Sequence[Tensor | None], used: Sequence[int] = (0, 1), **form: Any) -> None:
    """Hold the kernels in float32 against the law in float64."""
    expected = run(parts, "reference", used, **form)
    actual = run([None if x is None else x.float() for x in parts], "triton", used, **form)
    agree(zip(NAMES, actual, expected, strict=False), 1e-5)


@pytest.mark.parametrize("width", [1, 2, 4, 7])
@pytest.mark.parametrize("lengths", [None, (6, 1, 2, 9, 3)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("activation", ["none", "silu"])
@pytest.mark.parametrize("complete", [False, True])
def test_equals_the_reference(
    width: int, lengths: tuple[int, ...] | None, reverse: bool, activation: str, complete: bool, agree: Any
) -> None:
    """Agree with and without bias and state, at every width, shorter sequences than the window included."""
    batch, time = (3, 8) if lengths is None else (1, sum(lengths))
    parts: list[Tensor | None] = [*problem(batch, time, 5, width, 3 if lengths is None else len(lengths))]
    cu_seqlens = None if lengths is None else offsets(lengths)
    parts = parts if complete else [*parts[:2], None, None]
    compare(agree, parts, cu_seqlens=cu_seqlens, reverse=reverse, activation=activation)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [(150,), (62, 1, 67)])
def test_several_blocks(reverse: bool, lengths: tuple[int, ...], agree: Any) -> None:
    """Agree where windows reach across blocks of tokens, and where channels fill more than one block."""
    parts = problem(1, sum(lengths), 70, 4, len(lengths))
    compare(agree, parts, cu_seqlens=offsets(lengths), reverse=reverse, activation="silu")


@pytest.mark.parametrize("used", [(0,), (1,)])
def test_gradient_of_one_output(used: tuple[int, ...], agree: Any) -> None:
    """Agree where only the result, or only the final state, is used."""
    compare(agree, problem(1, 5, 3, 4, 2), used, cu_seqlens=offsets((1, 4)), activation="silu")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("activation", ["none", "silu"])
def test_low_precision_counts_in_float32(dtype: torch.dtype, activation: str, agree: Any) -> None:
    """Round only the results: y, the final state and the gradients of what is given in low precision."""
    x, weight, bias, state = problem(1, 21, 5, 4, 2)
    low = [x.to(dtype), weight.float(), bias.float(), state.to(dtype)]
    form: dict[str, Any] = {"cu_seqlens": offsets((19, 2)), "activation": activation}
    actual = run(low, "triton", (0,), **form)
    expected = run([part.double() for part in low], "reference", (0,), **form)
    assert actual[0].dtype == actual[1].dtype == actual[2].dtype == dtype
    assert actual[3].dtype == actual[4].dtype == torch.float32
    agree(zip(NAMES, actual, expected, strict=True), torch.finfo(dtype).eps)


def test_without_gradients_and_with_other_strides(agree: Any) -> None:
    """Return the same without autograd, from inputs that are not contiguous."""
    x, weight, bias, _ = (part.float() for part in problem(2, 9, 6, 3, 2))
    expected = causal_conv(x.double(), weight.double(), bias.double(), backend="reference")
    with torch.inference_mode():
        found = conv_triton(x.mT.contiguous().mT, weight.T.contiguous().T, bias.expand(2, 6)[0])
    agree(zip(NAMES, found, expected, strict=False), 1e-5)


def test_training_after_inference_at_the_same_lengths() -> None:
    """Differentiate a layout that inference asked for first."""
    x, weight, _, _ = (part.float() for part in problem(1, 23, 6, 4, 1))
    with torch.inference_mode():
        conv_triton(x, weight, None, cu_seqlens=offsets((3, 20)))
    x.requires_grad_()
    conv_triton(x, weight, None, cu_seqlens=offsets((3, 20)))[0].sum().backward()
    assert x.grad is not None


def test_refuses_float64() -> None:
    """Raise ValueError naming what the kernels cannot do."""
    x, weight, _, _ = problem(1, 3, 2, 4, 1)
    with pytest.raises(ValueError, match="causal_conv: the triton backend counts in float32"):
        conv_triton(x, weight, None)


def test_layout_numbers_the_tokens() -> None:
    """Give every token its sequence, with 64-bit boundaries."""
    layout = find_layout((0, 2, 3, 6), torch.device(DEVICE))
    assert layout.sequence.tolist() == [0, 0, 1, 2, 2, 2]
    assert layout.bounds.tolist() == [0, 2, 3, 6] and layout.bounds.dtype == torch.int64
