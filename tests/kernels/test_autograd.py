"""What holds for every primitive under autocast, for second derivatives, and for states that are written to."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.mixer import MixerWeights, mlstm_mixer
from bio_xlstm.kernels.mlstm import MlstmState, mlstm
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


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", list(calls()))
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_no_forward_derivatives(name: str, backend: str) -> None:
    """Refuse tangents, rather than to lose them in silence."""
    first = calls()[name]("reference")[1][0].detach()
    with forward_ad.dual_level(), torch.no_grad():
        dual = forward_ad.make_dual(first, torch.ones_like(first))
        with pytest.raises(RuntimeError, match='no forward derivatives.* backend="reference"'):
            run_with(name, dual, backend)


def run_with(name: str, first: Tensor, backend: str) -> tuple[Any, ...]:
    """Call a primitive with another first input."""
    _, inputs = calls()[name]("reference")
    rest = inputs[1:]
    if name == "mlstm_mixer":
        return mlstm_mixer(first, layer()[1], backend=backend)
    door: Callable[..., tuple[Any, ...]] = {"mlstm": mlstm, "slstm": slstm, "causal_conv": causal_conv}[name]
    return door(first, *rest, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", list(calls()))
def test_inference_states_serve_training(name: str, backend: str) -> None:
    """Take a state that was made in inference mode, and inputs too."""
    with torch.inference_mode():
        _, state = calls()[name](backend)[0]
    _, inputs = calls()[name](backend)
    door: Callable[..., tuple[Any, ...]] = {"mlstm": mlstm, "slstm": slstm, "causal_conv": causal_conv}.get(
        name, lambda up, *_, **form: mlstm_mixer(up, layer()[1], **form)
    )
    y, _ = door(*inputs, state=state, backend=backend)
    y.sum().backward()
    assert inputs[0].grad is not None and inputs[0].grad.isfinite().all()


def test_doors_say_what_they_need() -> None:
    """Name the argument that is no tensor, and a direction that is neither."""
    x = torch.randn(1, 3, 2, 16)
    gate = torch.zeros(1, 3, 2)
    with pytest.raises(ValueError, match="k must be a tensor, got ndarray"):
        mlstm(x, x.numpy(), x, gate, gate)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reverse must be True or False, got 'no'"):
        mlstm(x, x, x, gate, gate, reverse="no")  # type: ignore[arg-type]
    whole = MlstmState(torch.zeros(1, 2, 16, 16, dtype=torch.int64), torch.zeros(1, 2, 16), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"state\.c must be a floating-point tensor"):
        mlstm(x, x, x, gate, gate, state=whole)
    with pytest.raises(ValueError, match="one device: .*q on cpu, k on meta"):
        mlstm(x, x.to("meta"), x, gate, gate)


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_what_is_no_number_stays_in_its_sequence(backend: str) -> None:
    """Leave outputs and gradients of the neighbours of a spoilt sequence as they are, bit for bit."""
    tokens = [x.detach() for x in calls()["mlstm"]("reference")[1]]
    tokens = [x.flatten(0, 1)[None] for x in tokens]
    bounds = torch.tensor([0, 5, 11, 18], dtype=torch.int32)

    def read(spoilt: bool) -> list[Tensor]:
        leaves = [x.clone() for x in tokens]
        for x in leaves if spoilt else []:
            x[0, 7] = torch.nan
        for x in leaves:
            x.requires_grad_()
        h, state = mlstm(*leaves, cu_seqlens=bounds, backend=backend)
        slopes = torch.autograd.grad(h.sum() + state.c.sum(), leaves)
        return [*(x[0, [*range(5), *range(11, 18)]] for x in (h, *slopes)), *(part[[0, 2]] for part in state)]

    for one, two in zip(read(True), read(False), strict=True):
        assert torch.equal(one, two)
