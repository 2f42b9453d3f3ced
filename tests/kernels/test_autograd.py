"""What holds for every primitive under autocast, for second derivatives, and for states that are written to."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.mixer import MixerWeights, mlstm_mixer
from bio_xlstm.kernels.mlstm import mlstm
from bio_xlstm.kernels.slstm import slstm

BACKENDS = ["torch", "numba"]


def flat(out: tuple[Any, ...]) -> list[Tensor]:
    """List the tensors of an output and its state."""
    return [part for x in out for part in (flat(x) if isinstance(x, tuple) else [x])]


def layer(*sizes: int) -> tuple[Tensor, MixerWeights]:
    """Make the input and the weights of a layer of 32 channels in two heads."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random).requires_grad_()

    maps = draw(8, 4, 4), draw(8, 4, 4), draw(8, 4, 4), None, None, None
    gates = draw(2, 96), draw(2), draw(2, 96), draw(2)
    return draw(2, 9, 64), MixerWeights(draw(32, 4), draw(32), *maps, *gates, draw(32), draw(32))


def calls() -> dict[str, Callable[[str], tuple[tuple[Any, ...], list[Tensor]]]]:
    """Return a call of every primitive, by backend: its outputs and its inputs."""
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random).requires_grad_()

    tokens = [draw(2, 9, 2, 16) for _ in range(3)] + [draw(2, 9, 2) for _ in range(2)]
    recurrent = [draw(2, 9, 2, 4, 8), draw(2, 8, 4, 8), draw(2, 4, 8)]
    window = [draw(2, 9, 8), draw(8, 4), draw(8)]
    up, weights = layer()
    return {
        "mlstm": lambda backend: (mlstm(*tokens, backend=backend), tokens),
        "slstm": lambda backend: (slstm(*recurrent, backend=backend), recurrent),
        "causal_conv": lambda backend: (causal_conv(*window, activation="silu", backend=backend), window),
        "mlstm_mixer": lambda backend: (
            mlstm_mixer(up, weights, backend=backend),
            [up, *(part for part in weights if part is not None)],
        ),
    }


def loss(out: tuple[Any, ...]) -> Tensor:
    """Weigh all outputs."""
    return torch.stack([(part.float() ** 2).sum() for part in flat(out)]).sum()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", list(calls()))
def test_autocast_changes_nothing(name: str, backend: str) -> None:
    """Give the same outputs and gradients, of the same types, within autocast as without."""
    expected, inputs = calls()[name](backend)
    slopes = torch.autograd.grad(loss(expected), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found, inputs = calls()[name](backend)
        value = loss(found)
        # the mixer also has plain products of torch inside, whose way back autocast rounds as everywhere
        if name != "mlstm_mixer":
            found_slopes = torch.autograd.grad(value, inputs)
    if name == "mlstm_mixer":
        found_slopes = torch.autograd.grad(value, inputs)
    for one, two in zip((*flat(found), *found_slopes), (*flat(expected), *slopes), strict=True):
        assert one.dtype == two.dtype == torch.float32
        assert torch.equal(one, two)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", list(calls()))
def test_no_second_derivatives(name: str, backend: str) -> None:
    """Refuse to differentiate twice, rather than to leave a part out in silence."""
    out, inputs = calls()[name](backend)
    with pytest.raises(RuntimeError, match='no second derivatives .* backend="reference"'):
        torch.autograd.grad(out[0].sum(), inputs, create_graph=True)


@pytest.mark.parametrize("name", list(calls()))
def test_reference_differentiates_twice(name: str) -> None:
    """Give second derivatives where the fast ways have none."""
    out, inputs = calls()[name]("reference")
    slopes = torch.autograd.grad(out[0].square().sum(), inputs[0], create_graph=True)
    (second,) = torch.autograd.grad(slopes[0].square().sum(), inputs[0])
    assert second.isfinite().all()
    assert second.abs().sum() > 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["mlstm", "slstm", "mlstm_mixer"])
def test_state_written_to_is_noticed(name: str, backend: str) -> None:
    """Never give gradients that a state changed in place has falsified: the same ones, or an error."""
    out, inputs = calls()[name](backend)
    expected = torch.autograd.grad(loss(out), inputs)
    out, inputs = calls()[name](backend)
    value = loss(out)
    with torch.no_grad():
        for part in flat(out)[1:]:
            part.add_(1)
    try:
        found = torch.autograd.grad(value, inputs)
    except RuntimeError as error:
        assert re.search("modified (by an )?inplace", str(error))
    else:
        for one, two in zip(found, expected, strict=True):
            torch.testing.assert_close(one, two)


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_mixer_casts_weights(backend: str) -> None:
    """Take the half-precision input that autocast makes with float32 weights, and give float32 gradients to them."""
    up, weights = layer()
    y, _ = mlstm_mixer(up.bfloat16(), weights, backend=backend)
    exact, _ = mlstm_mixer(up.double(), MixerWeights(*(w if w is None else w.double() for w in weights)))
    assert y.dtype == torch.bfloat16
    assert (y - exact).norm() < 0.05 * exact.norm()
    y.sum().backward()
    assert weights.conv.grad is not None and weights.conv.grad.dtype == torch.float32
